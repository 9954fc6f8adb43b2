// Images that go to a device as 8-bit pixels: normalised there, they are the bits that a host feeds.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "data/data_test_util.h"
#include "data/jpeg_files.h"
#include "resnet/data/transform.h"
#include "resnet/io/mean_file.h"

namespace resnet::testing {
namespace {

constexpr uint64_t kSeed = 11;

Record jpeg_record(int64_t i, int height, int width) {
  Record record;
  record.key = "image" + std::to_string(i);
  record.encoded = true;
  record.bytes = jpeg_file({}, height, width, static_cast<uint32_t>(i));
  return record;
}

std::vector<float> normalised_images(const std::vector<uint8_t>& levels,
                                     const std::vector<float>& places, const PixelRule& rule,
                                     const Shape& image) {
  const auto side = [](const Shape& shape, int axis) { return static_cast<int32_t>(shape[axis]); };
  const bool mean_image = rule.mean_shape.rank() == 3;
  const PlacedImages images{.levels = levels.data(),
                            .placements = places.data(),
                            .mean = rule.mean.data(),
                            .channels = side(image, 0),
                            .height = side(image, 1),
                            .width = side(image, 2),
                            .mean_height = mean_image ? side(rule.mean_shape, 1) : 0,
                            .mean_width = mean_image ? side(rule.mean_shape, 2) : 0,
                            .scale = rule.scale};
  std::vector<float> out;
  for (size_t n = 0; n < places.size() / placement::kSize; ++n) {
    for (int32_t c = 0; c < images.channels; ++c) {
      for (int32_t y = 0; y < images.height; ++y) {
        for (int32_t x = 0; x < images.width; ++x) {
          out.push_back(PlacedPixel(images, static_cast<int64_t>(n), y, x).element(c));
        }
      }
    }
  }
  return out;
}

void expect_same(const std::function<void(TransformationParameter&)>& set,
                 const std::vector<Record>& records, Phase phase = TRAIN) {
  TransformationParameter param;
  set(param);
  SCOPED_TRACE(param.ShortDebugString());
  const Transformer transformer(param, phase, "");
  for (const Record& record : records) {
    for (int64_t position = 0; position < 12; ++position) {
      Image fed(record, transformer.decoding(), "test"),
          given(record, transformer.decoding(), "test");
      const Shape shape = transformer.output_shape(fed.shape());
      std::vector<float> wanted(static_cast<size_t>(shape.count()), NAN);
      transformer.apply(fed, kSeed, position, wanted.data());
      std::vector<uint8_t> levels(wanted.size(), 77);  // stays in padding, where it must not count
      std::vector<float> place(placement::kSize, NAN);
      transformer.apply(given, kSeed, position, levels.data(), place.data());
      const std::vector<float> got =
          normalised_images(levels, place, transformer.pixel_rule(shape[0]), shape);
      ASSERT_EQ(got, wanted) << record.key << " at " << position;
    }
  }
}

TEST(PixelInput, OfEveryTransformationGivesTheBitsOfTheHost) {
  ScratchDirectory dir;
  const auto mean_file = [&](const std::string& name, const Shape& shape) {
    std::vector<float> values;
    for (int64_t i = 0; i < shape.count(); ++i) {
      values.push_back(static_cast<float>(i % 251) + 0.37F);
    }
    write_mean(dir / name, {.shape = shape, .values = values});
    return dir / name;
  };
  const std::vector<Record> photographs{jpeg_record(0, 90, 120), jpeg_record(1, 75, 60)};
  const std::vector<Record> planes{numbered_record(0, 0), numbered_record(1, 1)};
  const auto paper = [](TransformationParameter& p) {
    p.set_resize_shorter_min(40);
    p.set_resize_shorter_max(75);
    p.set_crop_size(35);
    p.set_mirror(true);
    p.set_color_std(0.1F);
  };
  const auto crop = [](TransformationParameter& p) {
    p.set_crop_size(24);
    p.set_pad(3);
    p.set_mirror(true);
    p.set_scale(0.0173F);
  };
  expect_same(paper, photographs);
  expect_same(paper, photographs, TEST);
  expect_same(paper, planes);
  expect_same(crop, planes);
  expect_same(
      [&](auto& p) {
        paper(p);
        p.set_mean_file(mean_file("window", {3, 35, 35}));
        p.set_pad(4);
      },
      photographs);
  expect_same(
      [&](auto& p) {
        paper(p);
        for (const float mean : {104.01F, 117.3F, 123.7F}) p.add_mean_value(mean);
        p.set_scale(1 / 57.3F);
      },
      photographs);
  expect_same(
      [&](auto& p) {
        crop(p);
        p.set_mean_file(mean_file("image", {3, 32, 32}));
        p.set_color_std(0.3F);
      },
      planes);
  expect_same(
      [&](auto& p) {
        p.set_resize_shorter_min(40);
        p.set_crop_size(33);
        p.set_mirror(true);
        p.set_mean_file(mean_file("scaled", {3, 40, 53}));
      },
      {photographs[0]});
  expect_same(
      [&](auto& p) {
        p.set_crop_size(24);
        p.set_crop_area_min(0.1F);
        p.set_mirror(true);
        p.add_mean_value(128);
      },
      photographs);
  expect_same(
      [](auto& p) {
        p.set_force_gray(true);
        p.set_crop_size(50);
        p.add_mean_value(7.7F);
      },
      photographs);
}

LoaderOptions training(int threads) {
  LoaderOptions options;
  options.phase = TRAIN;
  options.batch = 4;
  options.seed = kSeed;
  options.shuffle = true;
  options.loader_threads = threads;
  return options;
}

// Batch by batch, whoever prepares them, and in turns with floats.
TEST(PixelInput, OfALoaderIsItsStream) {
  TransformationParameter param;
  param.set_resize_shorter_min(34);
  param.set_resize_shorter_max(40);
  param.set_crop_size(30);
  param.set_mirror(true);
  param.add_mean_value(120);
  for (const int threads : {0, 2}) {
    Loader fed(numbered_source(10), Transformer(param, TRAIN, ""), training(threads));
    Loader given(numbered_source(10), Transformer(param, TRAIN, ""), training(threads));
    const Shape image = fed.record_shape();
    const auto values = static_cast<size_t>(fed.batch_shape().count());
    for (int i = 0; i < 8; ++i) {
      std::vector<float> wanted(values), wanted_labels(4), labels(4), got(values);
      EXPECT_EQ(fed.next(wanted.data(), wanted_labels.data()), 4);
      if (i % 3 == 2) {
        EXPECT_EQ(given.next(got.data(), labels.data()), 4);
      } else {
        std::vector<uint8_t> levels(values);
        std::vector<float> places(4 * placement::kSize);
        EXPECT_EQ(given.next(levels.data(), places.data(), labels.data()), 4);
        got = normalised_images(levels, places, given.pixel_rule(), image);
      }
      EXPECT_EQ(got, wanted) << i;
      EXPECT_EQ(labels, wanted_labels);
      EXPECT_EQ(given.position(), fed.position());
    }
  }
}

TEST(PixelInput, IsNoneWhereARecordHoldsFloats) {
  std::vector<Record> records;
  for (int64_t i = 0; i < 8; ++i) records.push_back(numbered_record(i, i, {3, 4, 4}));
  records[6].floats.assign(48, 0.25F);
  records[6].bytes.clear();
  for (const int threads : {0, 2}) {
    LoaderOptions options = training(threads);
    options.shuffle = false;
    Loader loader(std::make_shared<MemorySource>(records), Transformer({}, TRAIN, ""), options);
    std::vector<uint8_t> levels(4 * 48);
    std::vector<float> places(4 * placement::kSize), labels(4), data(4 * 48);
    EXPECT_EQ(loader.next(levels.data(), places.data(), labels.data()), 4);
    EXPECT_THROW(loader.next(levels.data(), places.data(), labels.data()), NotPixels);
    EXPECT_EQ(loader.position(), 4);
    loader.seek(4);
    EXPECT_EQ(loader.next(data.data(), labels.data()), 4);
    EXPECT_EQ(data[2 * 48], 0.25F);
  }
}

}  // namespace
}  // namespace resnet::testing
