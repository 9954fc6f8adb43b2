// Counting images, and meeting weight files.
#include <gtest/gtest.h>

#include "resnet/eval/evaluate.h"
#include "resnet/eval/weights.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

TEST(ScoreMetrics, CountsTiesAndNanAgainstTheLabel) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> scores = {1,   2,   3,   // label 2: right
                                     3,   2,   3,   // label 0: tie, second
                                     1,   2,   3,   // label 0: third
                                     nan, 2,   1,   // label 1: second
                                     1,   nan, 0};  // label 1: never right
  ScoreMetrics metrics;
  metrics.add(std::span(scores).first(6), std::vector<float>{2, 0}, 3);
  metrics.add(std::span(scores).subspan(6), std::vector<float>{0, 1, 1}, 3);
  EXPECT_EQ(metrics.images(), 5);
  EXPECT_EQ(metrics.classes(), 3);
  EXPECT_DOUBLE_EQ(metrics.error(1), 0.8);
  EXPECT_DOUBLE_EQ(metrics.error(2), 0.4);
  EXPECT_DOUBLE_EQ(metrics.error(3), 0.2);
  EXPECT_DOUBLE_EQ(metrics.error(5), 0.2);
  EXPECT_THROW(metrics.add(std::span(scores).first(3), std::vector<float>{3}, 3), DataError);
}

// Figures of Brown, Cai, DasGupta 2001 and of R's prop.test without correction.
TEST(WilsonInterval, KnownValues) {
  const Interval some = wilson_interval(0.1, 50), none = wilson_interval(0, 10);
  EXPECT_NEAR(some.low, 0.0435, 1e-4);
  EXPECT_NEAR(some.high, 0.2136, 1e-4);
  EXPECT_NEAR(none.low, 0, 1e-12);
  EXPECT_NEAR(none.high, 0.2775, 1e-4);
}

TEST(MetricAverage, WeighsByCount) {
  MetricAverage average;
  average.add(std::vector<Metric>{{"loss", Output::Kind::loss, 1.0, 8, 1}});
  average.add(std::vector<Metric>{{"loss", Output::Kind::loss, 4.0, 4, 1}});
  EXPECT_DOUBLE_EQ(average.result()[0].value, 2.0);
  EXPECT_DOUBLE_EQ(average.result()[0].weight, 12);
}

class EvalTest : public ::testing::Test {
 protected:
  EvalTest() { write_small_cifar(dir_.path()); }
  TrainRun open(const std::string& backend = "reference") {
    return TrainRun(kSmallSolver, small_train_net(dir_.path()), dir_ / "run", {.backend = backend});
  }
  ScratchDirectory dir_;
};

TEST_F(EvalTest, EveryBatchSizeGivesTheSameFigures) {
  for (const std::string backend : {"reference", "onednn"}) {
    TrainRun run = open(backend);
    run.solver.run();
    const ScoreResult whole = evaluate_single_view(run.net, run.test, "fc");
    EXPECT_EQ(whole.net.images, kTestRecords);
    EXPECT_NEAR(whole.metrics.error(1), 1 - whole.net.metrics[0].value, 1e-6);
    for (const int64_t batch : {1, 3, 7, 20, 64}) {
      FeedOptions options;
      options.batch = batch;
      Feed feed(run.net.param(), options);
      const ScoreResult other = evaluate_single_view(run.net, feed, "fc");
      EXPECT_EQ(other.net.images, kTestRecords);
      EXPECT_EQ(other.metrics.error(1), whole.metrics.error(1));
      EXPECT_EQ(other.metrics.error(5), whole.metrics.error(5));
      EXPECT_NEAR(other.net.metrics[1].value, whole.net.metrics[1].value, 1e-5);
    }
  }
}

TEST_F(EvalTest, FindsScoresAndAccuracies) {
  const NetParameter net = parse_net(small_train_net(dir_.path()));
  GraphOptions options;
  options.phase = TEST;
  EXPECT_EQ(score_blob(net, options), "fc");
  EXPECT_EQ(accuracy_output(net, options, 1), "accuracy");
  EXPECT_EQ(accuracy_output(net, options, 5), std::nullopt);
}

TEST_F(EvalTest, WeightsOfAnotherNetAreReported) {
  TrainRun run = open();
  run.solver.snapshot();
  const WeightSet weights = read_caffemodel(snapshot_paths(dir_ / "run", 0).model);

  std::string text = small_train_net(dir_.path());
  text.replace(text.find("num_output: 10"), 14, "num_output: 12");
  text.replace(text.find("name: 'conv2'"), 13, "name: 'other'");
  TrainRun other(kSmallSolver, text, dir_ / "other");
  EXPECT_ONE_LINE(error_of<DataError>([&] { load_weights(other.net, weights); }), "1 missing",
                  "other/weight", "2 of another shape", "fc/weight (file (10,8), net (12,8))",
                  "1 layers unused: conv2", "--allow_missing");
  const LoadReport report = load_weights(other.net, weights, true);
  EXPECT_EQ(report.matched, 11);
  EXPECT_EQ(report.missing.size(), 1u);
  expect_equal({other.net.read_parameter(0)}, {run.net.read_parameter(0)});

  WeightSet foreign = weights;
  for (NamedBlob& blob : foreign.blobs) blob.layer = "x" + blob.layer;
  EXPECT_ONE_LINE(error_of<DataError>([&] { load_weights(other.net, foreign, true); }),
                  "0 blobs matched", "another net");
}

TEST_F(EvalTest, WeightsComeBackAsTheyWere) {
  TrainRun run = open("onednn");
  run.solver.run();
  TrainRun other = open("onednn");
  load_weights(other.net, read_caffemodel(snapshot_paths(dir_ / "run", 10).model));
  for (size_t i = 0; i < run.net.parameters().size(); ++i) {
    const auto index = static_cast<int>(i);
    expect_equal({run.net.read_parameter(index)}, {other.net.read_parameter(index)});
  }
}

TEST_F(EvalTest, DataLayersMustAgree) {
  std::string text = small_train_net(dir_.path());
  std::string second = cifar_data_layer("TRAIN", dir_.path(), "");
  second.replace(second.find("name: 'data'"), 12, "name: 'more'");
  second.replace(second.find("top: 'data'"), 11, "top: 'more'");
  second.replace(second.find("top: 'label'"), 12, "top: 'more_label'");
  FeedOptions options;
  options.phase = TRAIN;
  EXPECT_EQ(Feed(parse_net(text + second), options).shapes().size(), 4u);
  second.replace(second.find("batch_size: 8"), 13, "batch_size: 4");
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { Feed(parse_net(text + second), options); }),
                  "'data' and 'more'", "8 and 4 images a batch");
}

}  // namespace
}  // namespace resnet::testing
