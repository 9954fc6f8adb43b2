#include "resnet/base/random.h"

#include <gtest/gtest.h>

#include <set>

namespace resnet {
namespace {

constexpr uint32_t kOnes = 0xffffffffu;

::testing::AssertionResult is(const Philox4& actual, std::array<uint32_t, 4> expected) {
  for (size_t i = 0; i < 4; ++i) {
    if (actual.v[i] != expected[i]) {
      return ::testing::AssertionFailure() << "word " << i << " is " << std::hex << actual.v[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// The known answers that the authors of Philox publish with their code.
TEST(Philox, KnownAnswers) {
  EXPECT_TRUE(
      is(philox4x32({{0, 0, 0, 0}}, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_TRUE(is(philox4x32({{kOnes, kOnes, kOnes, kOnes}}, kOnes, kOnes),
                 {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Random, IsAFunctionOfItsArguments) {
  Random a(7, 1000, Use::crop), b(7, 1000, Use::crop);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(a.bits(), b.bits());
}

TEST(Random, StreamsDiffer) {
  std::set<uint32_t> first;
  first.insert(Random(7, 1000, Use::crop).bits());
  first.insert(Random(8, 1000, Use::crop).bits());
  first.insert(Random(uint64_t{7} | (uint64_t{1} << 32), 1000, Use::crop).bits());
  first.insert(Random(7, 1001, Use::crop).bits());
  first.insert(Random(7, 1000 + (uint64_t{1} << 32), Use::crop).bits());
  first.insert(Random(7, 1000, Use::flip).bits());
  first.insert(Random(7, 1000, Use::crop, 1).bits());
  EXPECT_EQ(first.size(), 7u);
}

TEST(Random, UniformAndNormalHaveTheirMoments) {
  constexpr int kDraws = 100000;
  Random random(1, 2, Use::test);
  double sum = 0, normal_sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const float u = random.uniform();
    ASSERT_GE(u, 0.0f);
    ASSERT_LT(u, 1.0f);
    sum += u;
    const double v = random.normal();
    normal_sum += v;
    squares += v * v;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.005);
  EXPECT_NEAR(normal_sum / kDraws, 0, 0.015);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
}

TEST(Random, BelowCoversItsRange) {
  Random random(3, 4, Use::test);
  std::array<int, 7> counts{};
  for (int i = 0; i < 7000; ++i) ++counts.at(random.below(7));
  for (int count : counts) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(random.below(1), 0u);
}

}  // namespace
}  // namespace resnet
