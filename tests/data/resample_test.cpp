// Scaling against the rule computed by plain loops.
#include <cmath>

#include "data/data_test_util.h"
#include "data/resample.h"
#include "resnet/base/random.h"
#include "resnet/data/image.h"

namespace resnet::testing {
namespace {

// Half a level for rounding, and what 16-bit sums lose.
constexpr double kTolerance = 0.55;

Pixels random_pixels(int64_t height, int64_t width, uint64_t seed) {
  Pixels pixels;
  pixels.reset({0, 0, height, width});
  Random random(seed, 0, Use::test);
  for (uint32_t& word : pixels.words) word = random.bits();
  return pixels;
}

int level(uint32_t word, int channel) { return static_cast<int>(word >> (8 * channel) & 255U); }

// The value of output `at` along one axis from values of the box's pixels.
template <class Value>
double plain(int64_t box, int64_t scaled, int64_t at, const Value& value) {
  const double factor = static_cast<double>(box) / static_cast<double>(scaled);
  const double radius = std::fmax(factor, 1), centre = (static_cast<double>(at) + 0.5) * factor;
  double sum = 0, weights = 0;
  for (int64_t i = 0; i < box; ++i) {
    const double weight = 1 - std::abs(static_cast<double>(i) + 0.5 - centre) / radius;
    if (weight <= 0) continue;
    sum += weight * value(i);
    weights += weight;
  }
  return sum / weights;
}

struct Case {
  Rect box;
  int64_t height, width;
};

const Case kCases[] = {
    {{0, 0, 40, 60}, 20, 30}, {{0, 0, 40, 60}, 57, 83}, {{0, 0, 40, 60}, 13, 200},
    {{0, 0, 40, 60}, 1, 1},   {{0, 0, 1, 1}, 5, 7},     {{3, 5, 30, 41}, 32, 32},
    {{7, 0, 33, 60}, 40, 59}, {{0, 0, 40, 60}, 40, 30}, {{0, 0, 2, 60}, 3, 61},
};

TEST(Resample, EqualsPlainLoops) {
  const Pixels image = random_pixels(40, 60, 1);
  for (const Case& c : kCases) {
    const Scaling scaling{c.box, c.height, c.width};
    Pixels out;
    resample(image, scaling, {0, 0, c.height, c.width}, &out);
    for (int64_t y = 0; y < c.height; ++y) {
      for (int64_t x = 0; x < c.width; ++x) {
        for (int channel = 0; channel < 3; ++channel) {
          const double wanted = plain(c.box.height, c.height, y, [&](int64_t i) {
            return plain(c.box.width, c.width, x, [&](int64_t j) {
              return level(image.row(c.box.top + i)[c.box.left + j], channel);
            });
          });
          ASSERT_NEAR(level(out.row(y)[x], channel), wanted, kTolerance) << y << ' ' << x;
        }
      }
    }
  }
}

// What a window needs suffices, and it is the window of the whole.
TEST(Resample, AWindowIsThatOfTheWhole) {
  const Pixels image = random_pixels(40, 60, 2);
  Random random(5, 0, Use::test);
  for (const Case& c : kCases) {
    const Scaling scaling{c.box, c.height, c.width};
    Pixels whole;
    resample(image, scaling, {0, 0, c.height, c.width}, &whole);
    for (int i = 0; i < 20; ++i) {
      const auto draw = [&](int64_t n) {
        return static_cast<int64_t>(random.below(static_cast<uint32_t>(n)));
      };
      const int64_t top = draw(c.height), left = draw(c.width);
      const Rect window{top, left, 1 + draw(c.height - top), 1 + draw(c.width - left)};
      Pixels part, out;
      part.reset(source_part(scaling, window));
      ASSERT_EQ(intersection(part.part, c.box), part.part);
      for (int64_t y = part.part.top; y < part.part.bottom(); ++y) {
        std::copy_n(image.row(y) + part.part.left, part.part.width, part.row(y));
      }
      resample(part, scaling, window, &out);
      for (int64_t y = window.top; y < window.bottom(); ++y) {
        for (int64_t x = window.left; x < window.right(); ++x) {
          ASSERT_EQ(out.row(y)[x - window.left] & 0xFFFFFFU, whole.row(y)[x] & 0xFFFFFFU);
        }
      }
    }
  }
}

TEST(Resample, LeavesEvenAreasAlone) {
  Pixels image;
  image.reset({0, 0, 37, 53});
  for (const uint32_t value : {0U, 1U, 127U, 254U, 255U}) {
    std::fill(image.words.begin(), image.words.end(), value * 0x010101U);
    for (const int64_t side : {1, 7, 36, 38, 224}) {
      Pixels out;
      resample(image, {{0, 0, 37, 53}, side, side}, {0, 0, side, side}, &out);
      for (const uint32_t word : out.words) ASSERT_EQ(word & 0xFFFFFFU, value * 0x010101U);
    }
  }
}

TEST(Resample, ResizeDoesTheSameToPlanes) {
  for (const int64_t channels : {1, 3}) {
    Record record = numbered_record(3, 0, {channels, 21, 34});
    const Record before = record;
    resize(record, 30, 17);
    ASSERT_EQ(record.shape, (Shape{channels, 30, 17}));
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t y = 0; y < 30; ++y) {
        for (int64_t x = 0; x < 17; ++x) {
          const double wanted = plain(21, 30, y, [&](int64_t i) {
            return plain(34, 17, x, [&](int64_t j) {
              return static_cast<double>(before.bytes[static_cast<size_t>((c * 21 + i) * 34 + j)]);
            });
          });
          ASSERT_NEAR(record.bytes[static_cast<size_t>((c * 30 + y) * 17 + x)], wanted, kTolerance);
        }
      }
    }
  }
  Record floats;
  floats.shape = {3, 4, 4};
  floats.floats.assign(48, 1);
  EXPECT_ONE_LINE(error_of<DataError>([&] { resize(floats, 2, 2); }), "8-bit", "(3,4,4)");
}

TEST(Resample, TheOtherSideIsRounded) {
  const Scaling scaling = scale_shorter_side(375, 500, 256);
  EXPECT_EQ(scaling.height, 256);
  EXPECT_EQ(scaling.width, 341);
  EXPECT_EQ(scale_shorter_side(500, 375, 256).height, 341);
  EXPECT_EQ(scale_shorter_side(10, 1000, 20).width, 2000);
}

}  // namespace
}  // namespace resnet::testing
