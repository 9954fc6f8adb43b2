// Blobs as NVIDIA's fork of Caffe stores them: raw_data of 16, 32 or 64 bits.
#include <cmath>

#include "io/io_test_util.h"
#include "resnet/io/caffemodel.h"

namespace resnet {
namespace {

using testing::error_of;

// Fields 10 (type, 2 is FLOAT16), 12 (bytes) and 7 (shape), as the fork numbers them.
std::string raw_half(const std::string& bytes, char count) {
  std::string blob = std::string("\x50\x02\x62") + static_cast<char>(bytes.size()) + bytes;
  return blob + "\x3a\x03\x0a\x01" + count;
}

std::vector<float> values_of(const std::string& bytes) {
  BlobProto blob;
  EXPECT_TRUE(blob.ParseFromString(bytes));
  return blob_values(blob, "w");
}

template <class T>
BlobProto raw(BlobProto::RawType type, const std::vector<T>& values) {
  BlobProto blob;
  blob.mutable_shape()->add_dim(static_cast<int64_t>(values.size()));
  blob.set_raw_data_type(type);
  blob.set_raw_data(values.data(), values.size() * sizeof(T));
  return blob;
}

TEST(RawBlob, HalfPrecision) {
  const std::string bytes("\x00\x3c\x00\xc0\xff\x7b\x01\x00\x00\x80\x00\x7c\x55\x35", 14);
  const std::vector<float> values = values_of(raw_half(bytes, 7));
  ASSERT_EQ(values.size(), 7U);
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], -2.0F);
  EXPECT_EQ(values[2], 65504.0F);               // the largest
  EXPECT_EQ(values[3], std::ldexp(1.0F, -24));  // the smallest
  EXPECT_TRUE(std::signbit(values[4]) && values[4] == 0);
  EXPECT_TRUE(std::isinf(values[5]));
  EXPECT_EQ(values[6], 0.333251953125F);  // the nearest to 1/3
}

TEST(RawBlob, OtherPrecisions) {
  EXPECT_EQ(blob_values(raw<float>(BlobProto::FLOAT, {1.5F, -3.25e-30F}), "w"),
            (std::vector<float>{1.5F, -3.25e-30F}));
  EXPECT_EQ(blob_values(raw<double>(BlobProto::DOUBLE, {0.1, -7}), "w"),
            (std::vector<float>{0.1F, -7}));
  BlobProto both = raw<float>(BlobProto::FLOAT, {1});
  both.add_data(2);  // Caffe's own field comes first, as in the fork
  EXPECT_EQ(blob_values(both, "w"), std::vector<float>{2});
}

TEST(RawBlob, WhatDoesNotFitIsNamed) {
  const auto error = [](const BlobProto& blob) {
    return error_of<DataError>([&] { blob_values(blob, "layer 'a'"); });
  };
  EXPECT_EQ(error(raw<int32_t>(BlobProto::INT, {1})),
            "layer 'a': has raw values of the type INT, but weights are DOUBLE, FLOAT or FLOAT16");
  BlobProto untyped = raw<float>(BlobProto::FLOAT, {1});
  untyped.clear_raw_data_type();
  EXPECT_NE(error(untyped).find("does not state"), std::string::npos);
  BlobProto few = raw<float>(BlobProto::FLOAT, {1});
  few.mutable_shape()->set_dim(0, 2);
  EXPECT_EQ(error(few), "layer 'a': the shape (2) needs 2 values, but the file has 1");
  BlobProto odd = raw<float>(BlobProto::FLOAT, {1});
  odd.mutable_raw_data()->push_back('x');
  EXPECT_NE(error(odd).find("5 bytes are no whole number"), std::string::npos);
}

TEST(RawBlob, InAWeightFile) {
  // A NetParameter (field 100) with one layer of one such blob, legacy shape and all.
  const std::string half("\x00\x3c\x00\x40", 4);
  const std::string blob = std::string("\x08\x01\x10\x01\x18\x01\x20\x02\x50\x02\x62\x04") + half;
  const std::string layer =
      std::string("\x0a\x02") + "fc" + "\x3a" + static_cast<char>(blob.size()) + blob;
  const std::string file = std::string("\xa2\x06") + static_cast<char>(layer.size()) + layer;
  const WeightSet set = parse_caffemodel(file, "half.caffemodel");
  ASSERT_EQ(set.blobs.size(), 1U);
  EXPECT_EQ(set.blobs[0].data, (std::vector<float>{1, 2}));
  EXPECT_TRUE(shape_fits(set.blobs[0], {2}));
}

}  // namespace
}  // namespace resnet
