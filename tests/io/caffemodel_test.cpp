#include "resnet/io/caffemodel.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "io/io_test_util.h"
#include "resnet/io/files.h"
#include "resnet/io/mean_file.h"

namespace resnet {
namespace {

using testing::error_of;
using testing::ScratchDirectory;
using testing::shared_dir;

NetParameter small_net() {
  NetParameter net;
  net.set_name("small");
  LayerParameter* layer = net.add_layer();
  layer->set_name("fc");
  layer->set_type("InnerProduct");
  layer->mutable_inner_product_param()->set_num_output(2);
  set_blob(layer->add_blobs(), {2, 3}, std::vector<float>{1, 2, 3, 4, 5, -6.5f});
  set_blob(layer->add_blobs(), {2}, std::vector<float>{0.25f, NAN});
  layer = net.add_layer();
  layer->set_name("scalar");
  set_blob(layer->add_blobs(), {}, std::vector<float>{7});
  net.mutable_preprocessing()->set_crop_size(32);
  net.mutable_preprocessing()->add_class_name("cat");
  return net;
}

std::string parse_error(const std::string& bytes) {
  return error_of<DataError>([&] { parse_caffemodel(bytes, "w.caffemodel"); });
}

TEST(Caffemodel, WritesAndReadsBack) {
  const ScratchDirectory dir;
  const uint64_t checksum = write_caffemodel(dir / "a.caffemodel", small_net(), 77);
  const WeightSet set = read_caffemodel(dir / "a.caffemodel");
  EXPECT_TRUE(set.ours);
  EXPECT_EQ(set.run_id, 77u);
  EXPECT_EQ(set.checksum, checksum);
  EXPECT_EQ(set.net_name, "small");
  EXPECT_TRUE(set.notes.empty());
  ASSERT_TRUE(set.preprocessing);
  EXPECT_EQ(set.preprocessing->class_name(0), "cat");
  ASSERT_EQ(set.blobs.size(), 3u);
  EXPECT_EQ(set.blobs[0].shape, (Shape{2, 3}));
  EXPECT_EQ(set.blobs[0].data[5], -6.5f);
  EXPECT_EQ(set.blobs[1].index, 1);
  EXPECT_TRUE(std::isnan(set.blobs[1].data[1]));
  EXPECT_EQ(set.blobs[2].layer, "scalar");
  EXPECT_EQ(set.blobs[2].shape.rank(), 0);

  // Other readers of the format see a plain NetParameter; the frame is two more fields.
  NetParameter net;
  ASSERT_TRUE(net.ParseFromString(read_file(dir / "a.caffemodel")));
  EXPECT_EQ(net.layer(0).inner_product_param().num_output(), 2u);

  // A net that was read from a file is written with a frame of its own.
  write_caffemodel(dir / "b.caffemodel", net, 78);
  EXPECT_EQ(read_caffemodel(dir / "b.caffemodel").run_id, 78u);
}

TEST(Caffemodel, TheSameNetGivesTheSameBytes) {
  const ScratchDirectory dir;
  write_caffemodel(dir / "a", small_net(), 1);
  write_caffemodel(dir / "b", small_net(), 1);
  EXPECT_EQ(read_file(dir / "a"), read_file(dir / "b"));
}

TEST(Caffemodel, TruncationAtEveryByteIsAnError) {
  const ScratchDirectory dir;
  write_caffemodel(dir / "a", small_net(), 1);
  const std::string bytes = read_file(dir / "a");
  for (size_t n = 0; n < bytes.size(); ++n) {
    const std::string error = parse_error(bytes.substr(0, n));
    EXPECT_EQ(error.find("w.caffemodel: "), 0u) << n;
    if (n > 30) {
      EXPECT_EQ(error, "w.caffemodel: truncated: " + std::to_string(n) + " of " +
                           std::to_string(bytes.size()) + " bytes: use another snapshot");
    }
  }
  parse_error(bytes + "x");
}

TEST(Caffemodel, EveryFlippedBitIsAnError) {
  const ScratchDirectory dir;
  write_caffemodel(dir / "a", small_net(), 1);
  std::string bytes = read_file(dir / "a");
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(parse_error(bytes), "") << "bit " << bit;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

TEST(Caffemodel, ForeignFilesAreNamed) {
  EXPECT_NE(parse_error("").find("an empty file"), std::string::npos);
  EXPECT_NE(parse_error("name: \"net\"\nlayer { }\n").find("text"), std::string::npos);
  EXPECT_NE(parse_error("\x89HDF\r\n\x1a\n....").find("HDF5"), std::string::npos);
  EXPECT_NE(parse_error(std::string("PK\x03\x04\0\0", 6)).find("PyTorch"), std::string::npos);
  EXPECT_NE(parse_error("\x0a\x03"
                        "abc\x18\x05")
                .find("no layers"),
            std::string::npos);
  EXPECT_NE(parse_error("\xff\xff\xff\xff\xff\xff\xff\xff").find("no field begins at byte 0"),
            std::string::npos);
  SolverState state;
  state.set_iter(5);
  state.set_learned_net("x_iter_5.caffemodel");
  state.add_history()->add_data(1);
  EXPECT_NE(parse_error(state.SerializeAsString()).find("this is a solver state"),
            std::string::npos);
}

TEST(Caffemodel, BlobsThatDoNotFitTheirShapeAreNamed) {
  NetParameter net = small_net();
  net.mutable_layer(0)->mutable_blobs(1)->add_data(1);
  EXPECT_EQ(parse_error(net.SerializeAsString()),
            "w.caffemodel: layer 'fc', blob 1: the shape (2) needs 2 values, but the file has 3");
  net.mutable_layer(0)->mutable_blobs(1)->mutable_shape()->set_dim(0, int64_t{1} << 62);
  EXPECT_NE(parse_error(net.SerializeAsString()).find("the file has 3"), std::string::npos);
  net.mutable_layer(0)->mutable_blobs(1)->mutable_shape()->add_dim(4);
  EXPECT_NE(parse_error(net.SerializeAsString()).find("impossible dimension"), std::string::npos);
  net.mutable_layer(0)->mutable_blobs(1)->mutable_shape()->set_dim(0, -2);
  EXPECT_NE(parse_error(net.SerializeAsString()).find("impossible dimension -2"),
            std::string::npos);
}

TEST(Caffemodel, OldFormsOfFilesAreRead) {
  WeightFile file;
  V1LayerParameter* layer = file.add_layers();
  layer->set_name("old");
  BlobProto* blob = layer->add_blobs();
  blob->set_num(1);
  blob->set_channels(1);
  blob->set_height(2);
  blob->set_width(2);
  for (double v : {1.0, 2.0, 3.0, 4.5}) blob->add_double_data(v);
  // A field that only a fork knows is skipped.
  file.mutable_unknown_fields()->AddLengthDelimited(200, "\xff\xff");
  const WeightSet set = parse_caffemodel(file.SerializeAsString(), "old.caffemodel");
  EXPECT_FALSE(set.ours);
  EXPECT_EQ(set.notes.size(), 1u);
  ASSERT_EQ(set.blobs.size(), 1u);
  EXPECT_TRUE(set.blobs[0].legacy_shape);
  EXPECT_EQ(set.blobs[0].data[3], 4.5f);
  EXPECT_TRUE(shape_fits(set.blobs[0], {2, 2}));
  EXPECT_TRUE(shape_fits(set.blobs[0], {1, 2, 2}));
  EXPECT_FALSE(shape_fits(set.blobs[0], {4}));
  EXPECT_FALSE(shape_fits(set.blobs[0], {1, 1, 1, 2, 2}));
}

TEST(Caffemodel, TheLastOfTwoLayersWithOneNameCounts) {
  NetParameter net;
  for (float v : {1.0f, 2.0f}) {
    LayerParameter* layer = net.add_layer();
    layer->set_name("a");
    set_blob(layer->add_blobs(), {1}, std::vector<float>{v});
  }
  const WeightSet set = parse_caffemodel(net.SerializeAsString(), "w");
  ASSERT_EQ(set.blobs.size(), 1u);
  EXPECT_EQ(set.blobs[0].data[0], 2.0f);
  EXPECT_EQ(set.notes.size(), 2u);
}

TEST(Caffemodel, ReadsWhatCaffeWrote) {
  const std::string dir = shared_dir() + "/caffe/";
  RESNET_NEEDS_FILE(dir + "train/init.caffemodel");
  const WeightSet tiny = read_caffemodel(dir + "forward_tiny64/tiny_bottleneck_64.caffemodel");
  EXPECT_FALSE(tiny.ours);
  std::vector<float> factors;  // BatchNorm's third blob
  for (const NamedBlob& b : tiny.blobs) {
    if (b.layer.starts_with("bn") && b.index == 2) factors.push_back(b.data.at(0));
  }
  for (float wanted : {1.0f, 999.98f, 0.5f, 12.25f}) {
    EXPECT_TRUE(std::any_of(factors.begin(), factors.end(), [&](float f) {
      return std::abs(f - wanted) < 0.01f;
    })) << wanted;
  }
  for (const char* name : {"train/init.caffemodel", "train/final_main.caffemodel",
                           "train/snap/main_iter_25.caffemodel"}) {
    EXPECT_GT(read_caffemodel(dir + name).blobs.size(), 5u) << name;
  }
  // Cut between any two of its bytes it is refused, or (between two layers) has fewer blobs.
  const std::string bytes = read_file(dir + "train/init.caffemodel");
  const size_t blobs = parse_caffemodel(bytes, "w").blobs.size();
  for (size_t n = 0; n < bytes.size(); n += 37) {
    try {
      EXPECT_LT(parse_caffemodel(bytes.substr(0, n), "w").blobs.size(), blobs + (n > 24000));
    } catch (const DataError&) {
    }
  }
}

TEST(MeanFile, WritesAndReadsBack) {
  const ScratchDirectory dir;
  MeanImage mean{{3, 2, 2}, std::vector<float>(12)};
  std::iota(mean.values.begin(), mean.values.end(), 0.5f);
  write_mean(dir / "m", mean);
  const MeanImage back = read_mean(dir / "m");
  EXPECT_EQ(back.shape, mean.shape);
  EXPECT_EQ(back.values, mean.values);
  const std::string bytes = read_file(dir / "m");
  for (size_t n = 0; n < bytes.size(); ++n) {
    testing::write_text(dir / "cut", bytes.substr(0, n));
    EXPECT_NE(error_of<DataError>([&] { read_mean(dir / "cut"); }), "") << n;
  }
}

TEST(MeanFile, RefusesOtherShapes) {
  const ScratchDirectory dir;
  BlobProto blob;
  set_blob(&blob, {2, 3, 1, 1}, std::vector<float>(6));
  testing::write_text(dir / "m", blob.SerializeAsString());
  EXPECT_NE(error_of<DataError>([&] { read_mean(dir / "m"); }).find("not that of one image"),
            std::string::npos);
}

TEST(MeanFile, ReadsWhatCaffeWrote) {
  const std::string dir = shared_dir() + "/caffe/lmdb/";
  RESNET_NEEDS_FILE(dir + "mean_raw64.binaryproto");
  EXPECT_EQ(read_mean(dir + "mean_raw64.binaryproto").shape, (Shape{3, 64, 64}));
  EXPECT_EQ(read_mean(dir + "mean_gray48x32.binaryproto").shape[0], 1);
}

}  // namespace
}  // namespace resnet
