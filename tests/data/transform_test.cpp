// The transformation: values, windows, draws.
#include <cmath>
#include <map>

#include "data/data_test_util.h"
#include "resnet/base/random.h"
#include "resnet/data/transform.h"

namespace resnet::testing {
namespace {

constexpr uint64_t kSeed = 11;

std::string write_mean(const std::string& path, const Shape& shape,
                       const std::vector<float>& values) {
  BlobProto blob;
  blob.set_num(1);
  blob.set_channels(static_cast<int>(shape[0]));
  blob.set_height(static_cast<int>(shape[1]));
  blob.set_width(static_cast<int>(shape[2]));
  blob.mutable_data()->Add(values.begin(), values.end());
  write_text(path, blob.SerializeAsString());
  return path;
}

std::vector<float> apply(const Transformer& transformer, const Record& record,
                         int64_t position = 0) {
  std::vector<float> out(static_cast<size_t>(transformer.output_shape(record.shape).count()), NAN);
  transformer.apply(record, kSeed, position, out.data());
  return out;
}

float pixel(const Record& record, int64_t c, int64_t y, int64_t x) {
  return record.bytes[static_cast<size_t>((c * record.shape[1] + y) * record.shape[2] + x)];
}

TEST(Transform, PassesPixelsThrough) {
  const Record record = numbered_record(3, 0, {3, 5, 7});
  const std::vector<float> out = apply(Transformer({}, TEST, ""), record);
  EXPECT_EQ(out, std::vector<float>(record.bytes.begin(), record.bytes.end()));
}

TEST(Transform, CentreCropWithMeanValuesAndScale) {
  TransformationParameter param;
  param.set_crop_size(4);
  param.set_scale(0.5f);
  for (const float mean : {104.0f, 117.0f, 123.0f}) param.add_mean_value(mean);
  const Transformer transformer(param, TEST, "");
  const Record record = numbered_record(1, 0, {3, 7, 9});
  EXPECT_EQ(transformer.output_shape(record.shape), (Shape{3, 4, 4}));
  const std::vector<float> out = apply(transformer, record);
  size_t i = 0;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 4; ++y) {
      for (int64_t x = 0; x < 4; ++x) {  // offsets (7 - 4) / 2 and (9 - 4) / 2
        ASSERT_EQ(out[i++],
                  (pixel(record, c, y + 1, x + 2) - param.mean_value(static_cast<int>(c))) * 0.5f);
      }
    }
  }
}

// Every random window with its mirror equals the same window of a padded image made by hand, with
// the mean taken at the source pixel and zeros outside.
TEST(Transform, PaddingIsZeroAfterTheMean) {
  const ScratchDirectory folder;
  const Shape shape{3, 8, 8};
  std::vector<float> mean;
  for (int i = 0; i < 192; ++i) mean.push_back(static_cast<float>(i) * 0.37f);
  TransformationParameter param;
  param.set_mean_file(write_mean(folder / "mean.binaryproto", shape, mean));
  param.set_pad(2);
  param.set_crop_size(8);
  param.set_mirror(true);
  const Transformer transformer(param, TRAIN, "");
  const Record record = numbered_record(5, 0, shape);
  for (int64_t position = 0; position < 200; ++position) {
    Random crop(kSeed, static_cast<uint64_t>(position), Use::crop);
    const int64_t top = int64_t{crop.below(5)} - 2;
    const int64_t left = int64_t{crop.below(5)} - 2;
    const bool mirrored = Random(kSeed, static_cast<uint64_t>(position), Use::flip).below(2) == 1;
    const std::vector<float> out = apply(transformer, record, position);
    size_t i = 0;
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < 8; ++y) {
        for (int64_t x = 0; x < 8; ++x) {
          const int64_t row = top + y, column = left + (mirrored ? 7 - x : x);
          const bool inside = row >= 0 && row < 8 && column >= 0 && column < 8;
          const float wanted = inside ? pixel(record, c, row, column) -
                                            mean[static_cast<size_t>((c * 8 + row) * 8 + column)]
                                      : 0.0f;
          ASSERT_EQ(out[i++], wanted) << position << ' ' << c << ' ' << y << ' ' << x;
        }
      }
    }
  }
}

TEST(Transform, TestPhaseNeitherPadsNorMirrorsNorDraws) {
  TransformationParameter param;
  param.set_pad(4);
  param.set_mirror(true);
  param.set_crop_size(30);
  const Transformer transformer(param, TEST, "");
  const Record record = numbered_record(2, 0);
  const std::vector<float> first = apply(transformer, record, 0);
  EXPECT_EQ(first[0], pixel(record, 0, 1, 1));
  for (int64_t position = 1; position < 20; ++position) {
    EXPECT_EQ(apply(transformer, record, position), first);
  }
}

TEST(Transform, PadWithoutCropKeepsTheSize) {
  TransformationParameter param;
  param.set_pad(4);
  EXPECT_EQ(Transformer(param, TRAIN, "").output_shape({3, 32, 32}), (Shape{3, 32, 32}));
}

// Windows and mirrors are uniform and independent: chi-square over the 81 x 2 outcomes.
TEST(Transform, DrawsAreUniform) {
  TransformationParameter param;
  param.set_pad(4);
  param.set_crop_size(32);
  param.set_mirror(true);
  const Transformer transformer(param, TRAIN, "");
  Record record = numbered_record(0, 0, {1, 32, 32});
  for (int i = 0; i < 1024; ++i) {  // every pixel tells its column and row
    record.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(i % 32 + 1);
  }
  Record rows = record;
  for (int i = 0; i < 1024; ++i)
    rows.bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(i / 32 + 1);
  constexpr int draws = 16200;
  std::map<std::tuple<int, int, bool>, int> seen;
  for (int64_t position = 0; position < draws; ++position) {
    const std::vector<float> x = apply(transformer, record, position),
                             y = apply(transformer, rows, position);
    const size_t middle = 16 * 32 + 16;
    const bool mirrored = x[middle + 1] < x[middle];
    const int left = static_cast<int>(x[middle]) - 1 - (mirrored ? 15 : 16);
    const int top = static_cast<int>(y[middle]) - 1 - 16;
    ASSERT_LE(std::abs(left), 4);
    ASSERT_LE(std::abs(top), 4);
    ++seen[{left, top, mirrored}];
  }
  EXPECT_EQ(seen.size(), 162u);
  double chi_square = 0;
  for (const auto& [outcome, count] : seen) chi_square += (count - 100.0) * (count - 100.0) / 100.0;
  // 161 degrees of freedom: mean 161, standard deviation 18.
  EXPECT_GT(chi_square, 161 - 4 * 18);
  EXPECT_LT(chi_square, 161 + 4 * 18);
}

TEST(Transform, DenormaliseInverts) {
  const ScratchDirectory folder;
  TransformationParameter param;
  param.set_mean_file(write_mean(folder / "mean", {3, 9, 9}, std::vector<float>(243, 101.3f)));
  param.set_scale(0.017f);
  param.set_crop_size(5);
  const Transformer transformer(param, TEST, "");
  const Record record = numbered_record(4, 0, {3, 9, 9});
  const std::vector<uint8_t> back =
      transformer.denormalise(apply(transformer, record).data(), {3, 5, 5}, false);
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 5; ++y) {
      for (int64_t x = 0; x < 5; ++x) {
        EXPECT_EQ(back[static_cast<size_t>((c * 5 + y) * 5 + x)], pixel(record, c, y + 2, x + 2));
      }
    }
  }
}

TEST(Transform, WhatTravelsWithTheWeightsDoesTheSame) {
  const ScratchDirectory folder;
  std::vector<float> mean;
  for (int i = 0; i < 3 * 36; ++i) mean.push_back(static_cast<float>(i));
  TransformationParameter param;
  param.set_mean_file(write_mean(folder / "mean", {3, 6, 6}, mean));
  param.set_scale(0.25f);
  param.set_crop_size(4);
  param.set_mirror(true);
  param.set_pad(4);
  const Record record = numbered_record(6, 0, {3, 6, 6});
  const Preprocessing stored = Transformer(param, TRAIN, "").preprocessing(record.shape);
  EXPECT_EQ(stored.resize_rule(), Preprocessing::EXACT);
  EXPECT_EQ(stored.resize_size(), 6u);
  EXPECT_EQ(apply(Transformer(stored), record), apply(Transformer(param, TEST, ""), record));
}

TEST(Transform, NamesWhatDoesNotFit) {
  const ScratchDirectory folder;
  TransformationParameter param;
  param.set_mean_file(folder / "none");
  EXPECT_ONE_LINE(error_of<DataError>([&] { Transformer(param, TEST, ""); }), "none",
                  "cannot be read");
  write_text(folder / "none", "\xff\xff garbage");
  EXPECT_ONE_LINE(error_of<DataError>([&] { Transformer(param, TEST, ""); }), "none",
                  "not a mean file");
  write_mean(folder / "none", {3, 4, 4}, {1, 2, 3});
  EXPECT_ONE_LINE(error_of<DataError>([&] { Transformer(param, TEST, ""); }), "none", "do not fit");
  write_mean(folder / "none", {3, 4, 4}, std::vector<float>(48));
  EXPECT_ONE_LINE(error_of<ConfigError>([&] {
                    Transformer(param, TEST, "").output_shape({3, 5, 5});
                  }),
                  "(3,4,4)", "(3,5,5)");
  param.add_mean_value(1);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { Transformer(param, TEST, ""); }), "mean_file",
                  "mean_value");
  param.clear_mean_file();
  param.add_mean_value(2);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] {
                    Transformer(param, TEST, "").output_shape({3, 5, 5});
                  }),
                  "2 mean_values", "(3,5,5)");
  param.clear_mean_value();
  param.set_crop_size(6);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] {
                    Transformer(param, TEST, "").output_shape({3, 5, 5});
                  }),
                  "crop_size 6", "(3,5,5)");
}

TEST(Transform, WhatTravelsWithTheWeightsIsOfASaneSize) {
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::EXACT);
  rule.set_resize_size(4'000'000'000);
  rule.set_crop_size(8);
  EXPECT_ONE_LINE(error_of<DataError>([&] { Transformer{rule}; }), "4000000000 pixels", "65536");
}

TEST(Image, ResizeRules) {
  Record record = numbered_record(0, 0, {3, 20, 30});
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(10);
  resize(record, rule);
  EXPECT_EQ(record.shape, (Shape{3, 10, 15}));
  rule.set_resize_rule(Preprocessing::EXACT);
  rule.set_resize_size(12);
  resize(record, rule);
  EXPECT_EQ(record.shape, (Shape{3, 12, 12}));
  EXPECT_EQ(record.bytes.size(), 3u * 12 * 12);
}

TEST(Image, ColourOnDemand) {
  Record grey = numbered_record(0, 0, {1, 4, 4});
  const std::vector<uint8_t> plane = grey.bytes;
  decode(grey, Colour::as_stored, "");
  EXPECT_EQ(grey.shape, (Shape{1, 4, 4}));
  decode(grey, Colour::colour, "");
  EXPECT_EQ(grey.shape, (Shape{3, 4, 4}));
  EXPECT_TRUE(std::equal(plane.begin(), plane.end(), grey.bytes.begin() + 32));
  decode(grey, Colour::grey, "");
  EXPECT_EQ(grey.bytes, plane);
}

TEST(Image, NamesAFileThatIsNoImage) {
  const ScratchDirectory folder;
  EXPECT_ONE_LINE(error_of<DataError>([&] { read_image(folder / "none.jpg"); }), "none.jpg");
  write_text(folder / "empty.jpg", "");
  EXPECT_ONE_LINE(error_of<DataError>([&] { read_image(folder / "empty.jpg"); }), "empty file");
  write_text(folder / "text.jpg", "hello");
  EXPECT_ONE_LINE(error_of<DataError>([&] { read_image(folder / "text.jpg"); }), "text.jpg",
                  "decoded");
}

}  // namespace
}  // namespace resnet::testing
