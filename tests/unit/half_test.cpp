// 16-bit types against the definition of rounding.
#include "resnet/base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace resnet {
namespace {

template <class T>
float rounded(float value) {
  return to_float(from_float<T>(value));
}

TEST(Half, EveryValueSurvives) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const f16 half{static_cast<uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(rounded<f16>(value)));
    } else {
      EXPECT_EQ(from_float<f16>(value).bits, bits);
    }
    const bf16 brain{static_cast<uint16_t>(bits)};
    const float wide = to_float(brain);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(rounded<bf16>(wide)));
    } else {
      EXPECT_EQ(from_float<bf16>(wide).bits, bits);
    }
  }
}

// Between two neighbours the nearer is taken, in the middle the even one.
TEST(Half, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7BFF; ++bits) {
    const float low = to_float(f16{static_cast<uint16_t>(bits)});
    const float high = to_float(f16{static_cast<uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;  // exact
    EXPECT_EQ(from_float<f16>(middle).bits, bits + (bits & 1));
    EXPECT_EQ(from_float<f16>(std::nextafter(middle, 0.0F)).bits, bits);
    EXPECT_EQ(from_float<f16>(std::nextafter(middle, high)).bits, bits + 1);
    EXPECT_EQ(from_float<f16>(-middle).bits, 0x8000 | (bits + (bits & 1)));
  }
  for (uint32_t bits = 0x3F00; bits < 0x4100; ++bits) {
    const float low = to_float(bf16{static_cast<uint16_t>(bits)});
    const float high = to_float(bf16{static_cast<uint16_t>(bits + 1)});
    const float middle = low + (high - low) / 2;
    EXPECT_EQ(from_float<bf16>(middle).bits, bits + (bits & 1));
    EXPECT_EQ(from_float<bf16>(std::nextafter(middle, low)).bits, bits);
  }
}

TEST(Half, OverflowsToInfinity) {
  EXPECT_EQ(rounded<f16>(65504.0F), 65504.0F);
  EXPECT_EQ(rounded<f16>(65519.996F), 65504.0F);
  EXPECT_TRUE(std::isinf(rounded<f16>(65520.0F)));
  EXPECT_TRUE(std::isinf(rounded<f16>(std::numeric_limits<float>::infinity())));
  EXPECT_TRUE(std::isinf(rounded<bf16>(std::numeric_limits<float>::max())));
  EXPECT_EQ(rounded<f16>(0x1p-25F), 0.0F);  // a tie with the even zero
  EXPECT_EQ(rounded<f16>(0x1.8p-25F), 0x1p-24F);
}

}  // namespace
}  // namespace resnet
