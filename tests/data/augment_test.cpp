// Augmentation of photographs: geometry and colours, their distributions, independence of threads.
#include <array>
#include <cmath>
#include <map>

#include "data/data_test_util.h"
#include "data/geometry.h"
#include "data/jpeg_files.h"
#include "resnet/base/parallel.h"
#include "resnet/base/random.h"
#include "resnet/data/transform.h"

namespace resnet::testing {
namespace {

constexpr uint64_t kSeed = 3;

Record jpeg_record(int64_t i, int height, int width) {
  Record record;
  record.key = "image" + std::to_string(i);
  record.label = i % 10;
  record.encoded = true;
  record.bytes = jpeg_file({}, height, width, static_cast<uint32_t>(i));
  return record;
}

// The paper's augmentation in small.
TransformationParameter scaling_param() {
  TransformationParameter param;
  param.set_resize_shorter_min(40);
  param.set_resize_shorter_max(75);
  param.set_crop_size(35);
  param.set_mirror(true);
  return param;
}

std::vector<float> apply(const Transformer& transformer, const Record& record, int64_t position) {
  Image image(record, transformer.decoding(), "test");
  std::vector<float> out(static_cast<size_t>(transformer.output_shape(image.shape()).count()), NAN);
  transformer.apply(image, kSeed, position, out.data());
  return out;
}

// Decode everything, scale everything, cut the window out.
std::vector<float> step_by_step(const Transformer& transformer, Record record, int64_t position) {
  decode(record, Colour::colour, "test");
  const Geometry geometry = transformer.geometry(record.shape, kSeed, position);
  Record box;
  box.shape = {3, geometry.scaling.box.height, geometry.scaling.box.width};
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < box.shape[1]; ++y) {
      const int64_t row = geometry.scaling.box.top + y;
      const auto from = record.bytes.begin() + (c * record.shape[1] + row) * record.shape[2] +
                        geometry.scaling.box.left;
      box.bytes.insert(box.bytes.end(), from, from + box.shape[2]);
    }
  }
  resize(box, geometry.scaling.height, geometry.scaling.width);
  const Rect& window = geometry.window;
  std::vector<float> out;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < window.height; ++y) {
      for (int64_t x = 0; x < window.width; ++x) {
        const int64_t row = window.top + y;
        const int64_t column = window.left + (geometry.mirrored ? window.width - 1 - x : x);
        const bool inside = row >= 0 && row < box.shape[1] && column >= 0 && column < box.shape[2];
        const auto at = static_cast<size_t>((c * box.shape[1] + row) * box.shape[2] + column);
        out.push_back(inside ? box.bytes[at] : 0.0F);
      }
    }
  }
  return out;
}

TEST(Augment, PartlyDecodedImagesEqualThoseMadeStepByStep) {
  TransformationParameter area;
  area.set_crop_size(32);
  area.set_crop_area_min(0.08F);
  area.set_mirror(true);
  TransformationParameter padded = scaling_param();
  padded.set_pad(6);
  TransformationParameter crop_only;
  crop_only.set_crop_size(50);
  for (const TransformationParameter& param : {scaling_param(), area, padded, crop_only}) {
    for (const Phase phase : {TRAIN, TEST}) {
      const Transformer transformer(param, phase, "");
      for (int64_t i = 0; i < 12; ++i) {
        const Record record = jpeg_record(i, 60 + 7 * static_cast<int>(i), 97);
        ASSERT_EQ(apply(transformer, record, i), step_by_step(transformer, record, i))
            << param.ShortDebugString() << ' ' << i;
      }
    }
  }
}

TEST(Augment, PixelsOfAnySourceAreFedAlike) {
  const Transformer transformer(scaling_param(), TRAIN, "");
  const Record encoded = jpeg_record(1, 80, 97);
  Record raw = encoded;
  decode(raw, Colour::colour, "test");
  for (int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(apply(transformer, encoded, i), apply(transformer, raw, i));
  }
}

double chi_square(const std::map<int64_t, int>& counts, size_t outcomes, int draws) {
  const double expected = static_cast<double>(draws) / static_cast<double>(outcomes);
  double sum = static_cast<double>(outcomes - counts.size()) * expected;
  for (const auto& [outcome, count] : counts) {
    sum += (count - expected) * (count - expected) / expected;
  }
  return sum;
}

// Within 4 standard deviations of its mean.
void expect_chi_square(double value, size_t outcomes) {
  const double freedom = static_cast<double>(outcomes) - 1;
  EXPECT_NEAR(value, freedom, 4 * std::sqrt(2 * freedom));
}

TEST(Augment, ShorterSidesAreUniform) {
  TransformationParameter param;
  param.set_resize_shorter_min(256);
  param.set_resize_shorter_max(480);
  param.set_crop_size(224);
  const Transformer transformer(param, TRAIN, "");
  constexpr int draws = 45000;
  std::map<int64_t, int> sides, corners;
  for (int64_t i = 0; i < draws; ++i) {
    const Geometry geometry = transformer.geometry({3, 375, 500}, kSeed, i);
    const Scaling& scaling = geometry.scaling;
    ++sides[scaling.height];
    ASSERT_EQ(scaling.width, std::llround(static_cast<double>(scaling.height) * 500 / 375));
    const Rect image{0, 0, scaling.height, scaling.width};
    ASSERT_EQ(intersection(geometry.window, image), geometry.window);
    // Where the window lies, in tenths of the room that it has.
    const auto tenth = [](int64_t at, int64_t room) { return at * 10 / (room + 1); };
    if (scaling.height - 224 >= 100) {
      ++corners[10 * tenth(geometry.window.top, scaling.height - 224) +
                tenth(geometry.window.left, scaling.width - 224)];
    }
  }
  EXPECT_EQ(sides.begin()->first, 256);
  EXPECT_EQ(sides.rbegin()->first, 480);
  expect_chi_square(chi_square(sides, 225, draws), 225);
  int places = 0;
  for (const auto& [corner, count] : corners) places += count;
  // Tenths are not exactly equal in whole pixels: a wide margin, which no skew passes.
  EXPECT_LT(chi_square(corners, 100, places), 99 + 12 * std::sqrt(2 * 99.0));
  EXPECT_EQ(corners.size(), 100u);
}

TEST(Augment, TestScalesToTheLeastSideAndTakesTheCentre) {
  const Transformer transformer(scaling_param(), TEST, "");
  const Geometry geometry = transformer.geometry({3, 120, 80}, kSeed, 17);
  EXPECT_EQ(geometry.scaling.height, 60);
  EXPECT_EQ(geometry.scaling.width, 40);
  EXPECT_EQ(geometry.window, (Rect{12, 2, 35, 35}));
  EXPECT_FALSE(geometry.mirrored);
}

TEST(Augment, HalfOfTheImagesAreMirrored) {
  const Transformer transformer(scaling_param(), TRAIN, "");
  constexpr int draws = 20000;
  int mirrored = 0;
  for (int64_t i = 0; i < draws; ++i) {
    mirrored += transformer.geometry({3, 100, 100}, kSeed, i).mirrored;
  }
  EXPECT_NEAR(mirrored, draws / 2, 4 * std::sqrt(draws / 4.0));
}

// Uniform area and log-uniform aspect, in an image where every part of them fits.
TEST(Augment, AreasAndAspectsAreDistributedAsStated) {
  TransformationParameter param;
  param.set_crop_size(32);
  param.set_crop_area_min(0.1F);
  param.set_crop_area_max(0.5F);
  param.set_crop_aspect(1.5F);
  const Transformer transformer(param, TRAIN, "");
  constexpr int draws = 20000;
  std::map<int64_t, int> areas, aspects;
  for (int64_t i = 0; i < draws; ++i) {
    const Rect box = transformer.geometry({3, 2000, 2000}, kSeed, i).scaling.box;
    ASSERT_EQ(intersection(box, Rect{0, 0, 2000, 2000}), box);
    const auto height = static_cast<double>(box.height), width = static_cast<double>(box.width);
    ++areas[static_cast<int64_t>((height * width / 4e6 - 0.1) / 0.4 * 20)];
    ++aspects[static_cast<int64_t>(std::floor(std::log(width / height) / std::log(1.5) * 10))];
  }
  areas.erase(20);  // rounding to pixels carries a few over the edge
  aspects.erase(10);
  aspects.erase(-11);
  EXPECT_LT(chi_square(areas, 20, draws), 19 + 5 * std::sqrt(2 * 19.0));
  EXPECT_LT(chi_square(aspects, 20, draws), 19 + 5 * std::sqrt(2 * 19.0));
  EXPECT_EQ(areas.size(), 20u);
  EXPECT_EQ(aspects.size(), 20u);
}

TEST(Augment, NarrowImagesFallBackToTheirCentre) {
  TransformationParameter param;
  param.set_crop_size(32);
  param.set_crop_area_min(0.9F);
  const Transformer transformer(param, TRAIN, "");
  for (int64_t i = 0; i < 50; ++i) {
    const Rect box = transformer.geometry({3, 30, 300}, kSeed, i).scaling.box;
    EXPECT_EQ(box, (Rect{0, 130, 30, 40}));
  }
}

using Matrix = std::array<std::array<double, 3>, 3>;

// Shifts have mean 0 and covariance sum_i (std lambda_i)^2 p_i p_i^T, in levels.
TEST(Augment, ColourShiftsHaveTheCovarianceOfTheory) {
  const PrincipalColours colours = PrincipalColours::imagenet();
  const ColourShift shift(0.1, colours);
  constexpr int draws = 40000;
  std::array<double, 3> sum{};
  Matrix products{};
  for (int64_t i = 0; i < draws; ++i) {
    const std::array<float, 3> value = shift.draw(kSeed, i);
    for (size_t a = 0; a < 3; ++a) {
      sum[a] += value[a];
      for (size_t b = 0; b < 3; ++b) products[a][b] += double{value[a]} * double{value[b]};
    }
  }
  for (size_t a = 0; a < 3; ++a) {
    for (size_t b = 0; b < 3; ++b) {
      double theory = 0, scale = 0;
      for (size_t i = 0; i < 3; ++i) {
        const double spread = std::pow(0.1 * 255 * colours.eigenvalue[i], 2);
        theory += spread * colours.eigenvector[i][a] * colours.eigenvector[i][b];
        scale += spread;
      }
      EXPECT_NEAR(products[a][b] / draws, theory, 0.02 * scale) << a << b;
    }
    EXPECT_NEAR(sum[a] / draws, 0, 4 * std::sqrt(products[a][a] / draws / draws));
  }
}

TEST(Augment, ColoursShiftAllPixelsOfAnImageAlike) {
  TransformationParameter param = scaling_param();
  const Transformer plain(param, TRAIN, "");
  param.set_color_std(0.1F);
  const Transformer shifting(param, TRAIN, "");
  const Record record = jpeg_record(0, 80, 97);
  const ColourShift shift(0.1F, PrincipalColours::imagenet());
  for (int64_t i = 0; i < 5; ++i) {
    const std::vector<float> before = apply(plain, record, i), after = apply(shifting, record, i);
    for (size_t k = 0; k < after.size(); ++k) {
      ASSERT_NEAR(after[k] - before[k], shift.draw(kSeed, i)[k / (35 * 35)], 1e-4);
    }
  }
  const Transformer test(param, TEST, "");
  EXPECT_EQ(apply(test, record, 0), apply(Transformer(scaling_param(), TEST, ""), record, 0));
}

TEST(Augment, PrincipalColoursAreEigenvectors) {
  const Matrix covariance{{{0.07, 0.06, 0.05}, {0.06, 0.08, 0.07}, {0.05, 0.07, 0.09}}};
  const PrincipalColours colours = principal_colours(covariance);
  double trace = 0;
  for (size_t i = 0; i < 3; ++i) {
    const auto& vector = colours.eigenvector[i];
    trace += colours.eigenvalue[i];
    double length = 0;
    for (size_t a = 0; a < 3; ++a) {
      double product = 0;
      for (size_t b = 0; b < 3; ++b) product += covariance[a][b] * vector[b];
      EXPECT_NEAR(product, colours.eigenvalue[i] * vector[a], 1e-12);
      length += vector[a] * vector[a];
    }
    EXPECT_NEAR(length, 1, 1e-12);
    if (i > 0) {
      EXPECT_GE(colours.eigenvalue[i - 1], colours.eigenvalue[i]);
    }
  }
  EXPECT_NEAR(trace, 0.24, 1e-12);
  const ScratchDirectory folder;
  write_text(folder / "pca", to_message(colours).DebugString());
  EXPECT_NEAR(read_colours(folder / "pca").eigenvector[1][2], colours.eigenvector[1][2], 1e-6);
  write_text(folder / "pca", "eigenvalue: 1");
  EXPECT_ONE_LINE(error_of<DataError>([&] { read_colours(folder / "pca"); }), "pca",
                  "not a colour file");
}

TEST(Augment, AMeanImageMayHaveTheSizeOfTheCrop) {
  const ScratchDirectory folder;
  BlobProto blob;
  for (const int64_t dim : {3, 35, 35}) blob.mutable_shape()->add_dim(dim);
  for (int i = 0; i < 3 * 35 * 35; ++i) blob.add_data(static_cast<float>(i % 200));
  write_text(folder / "mean", blob.SerializeAsString());
  TransformationParameter param = scaling_param();
  const Record record = jpeg_record(0, 80, 97);
  for (const Phase phase : {TRAIN, TEST}) {
    param.clear_mean_file();
    const Transformer plain(param, phase, "");
    param.set_mean_file(folder / "mean");
    const Transformer less(param, phase, "");
    for (int64_t i = 0; i < 6; ++i) {
      const bool mirrored = plain.geometry({3, 80, 97}, kSeed, i).mirrored;
      const std::vector<float> before = apply(plain, record, i), after = apply(less, record, i);
      for (int64_t k = 0; k < 3 * 35 * 35; ++k) {
        const int64_t at = mirrored ? k / 35 * 35 + 34 - k % 35 : k;
        ASSERT_EQ(after[static_cast<size_t>(k)],
                  before[static_cast<size_t>(k)] - blob.data(static_cast<int>(at)));
      }
    }
  }
  param.set_crop_size(36);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] {
                    Transformer(param, TRAIN, "").output_shape({3, 80, 97});
                  }),
                  "(3,35,35)", "(3,36,36)");
}

// As Caffe's nets have it: images scaled to 40x40, of which the mean is known, and a crop of 35x35.
TEST(Augment, AMeanImageMayHaveTheSizeOfTheScaledImages) {
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::EXACT);
  rule.set_resize_size(40);
  rule.set_crop_size(35);
  const Record record = jpeg_record(0, 80, 97);
  const std::vector<float> before = apply(Transformer(rule), record, 0);
  for (const int64_t dim : {3, 40, 40}) rule.mutable_mean()->mutable_shape()->add_dim(dim);
  for (int i = 0; i < 3 * 40 * 40; ++i) rule.mutable_mean()->add_data(static_cast<float>(i));
  const std::vector<float> after = apply(Transformer(rule), record, 0);
  for (int k = 0; k < 3 * 35 * 35; ++k) {
    const int channel = k / (35 * 35), row = k / 35 % 35 + 2, column = k % 35 + 2;
    const auto mean = static_cast<float>((channel * 40 + row) * 40 + column);
    ASSERT_EQ(after[static_cast<size_t>(k)], before[static_cast<size_t>(k)] - mean);
  }
}

TEST(Augment, WhatTravelsWithTheWeightsScalesToo) {
  TransformationParameter param = scaling_param();
  param.set_exif_orientation(true);
  param.add_mean_value(100);
  const Preprocessing stored = Transformer(param, TRAIN, "").preprocessing({3, 80, 97});
  EXPECT_EQ(stored.resize_rule(), Preprocessing::SHORT_SIDE);
  EXPECT_EQ(stored.resize_size(), 40u);
  EXPECT_TRUE(stored.exif_orientation());
  const Record record = jpeg_record(0, 80, 97);
  EXPECT_EQ(apply(Transformer(stored), record, 0), apply(Transformer(param, TEST, ""), record, 0));
}

TEST(Augment, ImpossibleRangesAreRefused) {
  const auto error = [](const std::function<void(TransformationParameter&)>& change) {
    TransformationParameter param = scaling_param();
    change(param);
    return error_of<ConfigError>([&] { Transformer(param, TRAIN, ""); });
  };
  EXPECT_ONE_LINE(error([](auto& p) { p.set_resize_shorter_max(39); }), "resize_shorter_max");
  EXPECT_ONE_LINE(error([](auto& p) { p.clear_resize_shorter_min(); }), "resize_shorter_min");
  EXPECT_ONE_LINE(error([](auto& p) { p.clear_crop_size(); }), "crop_size");
  EXPECT_ONE_LINE(error([](auto& p) { p.set_crop_area_min(1.5F); }), "crop_area_min");
  EXPECT_ONE_LINE(error([](auto& p) { p.set_crop_area_min(NAN); }), "crop_area_min");
  EXPECT_ONE_LINE(error([](auto& p) {
                    p.set_crop_area_min(0.1F);
                    p.set_crop_aspect(0.5F);
                  }),
                  "crop_aspect");
  EXPECT_ONE_LINE(error([](auto& p) {
                    p.set_crop_area_min(0.1F);
                    p.set_pad(3);
                  }),
                  "pad");
  EXPECT_ONE_LINE(error([](auto& p) { p.set_color_std(-1); }), "color_std");
  TransformationParameter small;
  small.set_resize_shorter_min(30);
  small.set_crop_size(35);
  EXPECT_ONE_LINE(error_of<ConfigError>([&] {
                    Transformer(small, TEST, "").output_shape({3, 90, 90});
                  }),
                  "crop_size 35", "(3,30,30)");
}

// Batches of photographs are the same for any number of threads of any kind.
TEST(Augment, ThreadsDoNotMatter) {
  std::vector<Record> records;
  for (int64_t i = 0; i < 9; ++i) records.push_back(jpeg_record(i, 70 + static_cast<int>(i), 90));
  const auto source = std::make_shared<MemorySource>(records);
  TransformationParameter param = scaling_param();
  param.set_color_std(0.1F);
  const auto batches = [&](int loader_threads) {
    LoaderOptions options;
    options.phase = TRAIN;
    options.batch = 5;
    options.seed = 7;
    options.shuffle = true;
    options.loader_threads = loader_threads;
    Loader loader(source, Transformer(param, TRAIN, ""), options);
    std::vector<float> all;
    for (int i = 0; i < 6; ++i) {
      std::vector<float> data(static_cast<size_t>(loader.batch_shape().count()));
      loader.next(data.data(), nullptr);
      all.insert(all.end(), data.begin(), data.end());
    }
    return all;
  };
  const int compute_threads = num_threads();
  set_num_threads(1);
  const std::vector<float> wanted = batches(0);
  for (const int compute : {1, 3}) {
    set_num_threads(compute);
    for (const int threads : {0, 1, 4}) EXPECT_EQ(batches(threads), wanted);
  }
  set_num_threads(compute_threads);
}

}  // namespace
}  // namespace resnet::testing
