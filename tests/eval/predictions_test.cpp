// The log of predictions against figures worked out by hand.
#include "resnet/eval/predictions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "resnet/base/error.h"
#include "resnet/eval/evaluate.h"

namespace resnet {
namespace {

using Scores = std::vector<float>;
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

PredictionLog small_log() {
  PredictionLog log(ScoreKind::probabilities);
  log.add("a", 0, Scores{0.7F, 0.2F, 0.1F});  // right
  log.add("b", 0, Scores{0.3F, 0.6F, 0.1F});  // taken for 1
  log.add("c", 1, Scores{0.1F, 0.8F, 0.1F});  // right
  log.add("d", 2, Scores{0.1F, 0.9F, 0.0F});  // taken for 1, third
  log.add("e", 0, Scores{0.2F, 0.6F, 0.2F});  // taken for 1; ties with 2
  return log;
}

TEST(PredictionLog, RanksAndErrors) {
  const PredictionLog log = small_log();
  EXPECT_EQ(log.images(), 5);
  EXPECT_EQ(log.classes(), 3);
  const std::vector<int64_t> ranks = {1, 2, 1, 3, 3};
  for (size_t i = 0; i < ranks.size(); ++i) EXPECT_EQ(log.predictions()[i].rank, ranks[i]) << i;
  EXPECT_DOUBLE_EQ(log.error(1), 0.6);
  EXPECT_DOUBLE_EQ(log.error(2), 0.4);
  EXPECT_EQ(log.predictions()[1].key, "b");
  EXPECT_EQ(log.predictions()[1].guess().label, 1);
  EXPECT_NEAR(log.predictions()[1].label_probability, 0.3, 1e-7);
  EXPECT_THROW(PredictionLog(ScoreKind::logits).add("x", 3, Scores{1, 2, 3}), DataError);
}

// The first guess is the label exactly when the label's rank is 1, whatever is equal or NaN.
TEST(PredictionLog, GuessesAgreeWithRanks) {
  const std::vector<Scores> rows = {
      {1, 1, 0},       {0, 1, 1},          {2, 2, 2}, {kNan, 1, 0},    {0, kNan, 1}, {1, 0, kNan},
      {kNan, kNan, 1}, {kNan, kNan, kNan}, {0, 0, 1}, {1, kNan, kNan}, {3, 1, 2}};
  for (const Scores& row : rows) {
    for (int64_t label = 0; label < 3; ++label) {
      PredictionLog log(ScoreKind::probabilities);
      ScoreMetrics metrics;
      log.add("x", label, row);
      metrics.add(row, Scores{static_cast<float>(label)}, 3);
      const Prediction& p = log.predictions()[0];
      EXPECT_EQ(p.right(), p.guess().label == label);
      EXPECT_EQ(log.error(1), metrics.error(1));
      EXPECT_EQ(log.error(2), metrics.error(2));
      ASSERT_EQ(p.top.size(), 3U);
      EXPECT_EQ(p.top[static_cast<size_t>(p.rank) - 1].label, label);
    }
  }
}

TEST(PredictionLog, KeepsTheBestOfManyClasses) {
  PredictionLog log(ScoreKind::logits);
  Scores logits;
  for (int k = 0; k < 200; ++k) logits.push_back(static_cast<float>((k * 37) % 200) / 10);
  log.add("x", 0, logits);
  const Prediction& p = log.predictions()[0];
  ASSERT_EQ(p.top.size(), PredictionLog::kTop);
  EXPECT_EQ(p.rank, 200);
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x));
  for (size_t i = 0; i < p.top.size(); ++i) {
    const double score = static_cast<double>(logits[static_cast<size_t>(p.top[i].label)]);
    EXPECT_NEAR(score, 19.9 - 0.1 * static_cast<double>(i), 1e-5);
    EXPECT_NEAR(p.top[i].probability, std::exp(score) / sum, 1e-12);
  }
}

TEST(PredictionLog, LogitsAsLargeAsFloatsDoNotOverflow) {
  const std::vector<double> p = softmax(Scores{3e38F, 3e38F, -3e38F});
  EXPECT_DOUBLE_EQ(p[0], 0.5);
  EXPECT_DOUBLE_EQ(p[2], 0);
}

TEST(PredictionLog, NegativeLogLikelihood) {
  PredictionLog log(ScoreKind::probabilities);
  log.add("a", 0, Scores{0.5F, 0.5F});
  log.add("b", 1, Scores{0.75F, 0.25F});
  EXPECT_NEAR(log.negative_log_likelihood(), (std::log(2) + std::log(4)) / 2, 1e-12);
  log.add("c", 1, Scores{1, 0});
  EXPECT_TRUE(std::isfinite(log.negative_log_likelihood()));
}

TEST(PredictionLog, CalibrationByHand) {
  const Calibration four = small_log().calibration(4);
  ASSERT_EQ(four.bins.size(), 4U);
  // (0.5, 0.75]: 0.7 right, 0.6 and 0.6 wrong. (0.75, 1]: 0.8 right, 0.9 wrong.
  EXPECT_EQ(four.bins[0].images + four.bins[1].images, 0);
  EXPECT_EQ(four.bins[2].images, 3);
  EXPECT_NEAR(four.bins[2].confidence, 1.9 / 3, 1e-6);
  EXPECT_NEAR(four.bins[2].accuracy, 1.0 / 3, 1e-6);
  EXPECT_EQ(four.bins[3].images, 2);
  EXPECT_NEAR(four.bins[3].confidence, 0.85, 1e-6);
  EXPECT_NEAR(four.expected_error, 3.0 / 5 * 0.3 + 2.0 / 5 * 0.35, 1e-6);
  EXPECT_EQ(small_log().calibration().bins.size(), 15U);
}

// A probability on an edge belongs to the bin below; 1 to the last bin.
TEST(PredictionLog, EdgesOfBins) {
  PredictionLog log(ScoreKind::probabilities);
  log.add("a", 0, Scores{0.5F, 0.25F, 0.25F});
  log.add("b", 0, Scores{1, 0, 0});
  const Calibration two = log.calibration(2);
  EXPECT_EQ(two.bins[0].images, 1);
  EXPECT_EQ(two.bins[1].images, 1);
}

TEST(PredictionLog, ConfusionsAndClasses) {
  const PredictionLog log = small_log();
  const std::vector<ClassCount> counts = log.class_counts();
  ASSERT_EQ(counts.size(), 3U);
  EXPECT_EQ(counts[0].images, 3);
  EXPECT_EQ(counts[0].wrong, 2);
  EXPECT_NEAR(counts[0].error(), 2.0 / 3, 1e-12);
  EXPECT_EQ(counts[1].error(), 0);
  const std::vector<Confusion> confusions = log.confusions();
  ASSERT_EQ(confusions.size(), 2U);
  EXPECT_EQ(confusions[0].label, 0);
  EXPECT_EQ(confusions[0].guess, 1);
  EXPECT_EQ(confusions[0].images, 2);
  EXPECT_EQ(confusions[1].label, 2);
  EXPECT_EQ(log.confident_mistakes(10), (std::vector<size_t>{3, 1, 4}));
  EXPECT_EQ(log.confident_mistakes(1), (std::vector<size_t>{3}));
}

TEST(PredictionLog, WithoutImages) {
  const PredictionLog log(ScoreKind::logits);
  EXPECT_EQ(log.error(1), 0);
  EXPECT_EQ(log.negative_log_likelihood(), 0);
  EXPECT_EQ(log.calibration().expected_error, 0);
  EXPECT_TRUE(log.confusions().empty());
}

}  // namespace
}  // namespace resnet
