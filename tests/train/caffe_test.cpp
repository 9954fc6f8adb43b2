// The 50 iterations that Caffe ran on a small residual net, on our backends.
#include <gtest/gtest.h>

#include <regex>

#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

std::vector<double> numbers_after(const std::string& text, const std::string& key) {
  std::vector<double> values;
  const std::regex pattern("\"" + key + "\": ([-+0-9.eE]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    values.push_back(std::stod((*it)[1]));
  }
  return values;
}

class CaffeTraining : public ::testing::TestWithParam<std::string> {
 protected:
  std::string caffe_ = shared_dir() + "/caffe/train";
  ScratchDirectory dir_;

  std::unique_ptr<TrainRun> open(const std::string& more) {
    auto run = std::make_unique<TrainRun>(changed(read_file(caffe_ + "/solver.prototxt"), more),
                                          read_file(caffe_ + "/net.prototxt"), dir_ / "run",
                                          RunOptions{.backend = GetParam(), .base_dir = caffe_});
    load_weights(run->net, read_caffemodel(caffe_ + "/init.caffemodel"));
    return run;
  }

  void expect_weights(TrainRun& run, const std::string& file) {
    const WeightSet wanted = read_caffemodel(file);
    size_t compared = 0;
    for (const NamedBlob& blob : wanted.blobs) {
      for (size_t i = 0; i < run.net.parameters().size(); ++i) {
        const Parameter& parameter = run.net.parameters()[i];
        if (parameter.layer != blob.layer || parameter.blob != blob.index) continue;
        const HostArray value = run.net.read_parameter(static_cast<int>(i));
        EXPECT_LT(distance(value.data, blob.data), 1e-4) << parameter.name();
        ++compared;
      }
    }
    EXPECT_EQ(compared, run.net.parameters().size());
  }
};

TEST_P(CaffeTraining, HasCaffesLossesAndWeights) {
  RESNET_NEEDS_FILE(caffe_);
  const std::string text = read_file(caffe_ + "/loss_main_f32.json");
  const std::vector<double> losses = numbers_after(text, "loss"), rates = numbers_after(text, "lr");
  ASSERT_EQ(losses.size(), 50u);
  const std::unique_ptr<TrainRun> run = open("test_interval: 50 test_initialization: false");
  run->solver.run();
  for (size_t i = 0; i < losses.size(); ++i) {
    const StepReport& step = run->recorder.steps[i];
    EXPECT_NEAR(step.loss, losses[i], 1e-4 * losses[i]) << "iteration " << i;
    EXPECT_NEAR(step.rate, rates[i], 1e-6 * rates[i]);
  }
  expect_weights(*run, caffe_ + "/snap/main_iter_50.caffemodel");

  const std::string final_test = read_file(caffe_ + "/eval_final_main.json");
  ASSERT_EQ(run->recorder.tests.size(), 1u);
  const std::vector<Metric>& metrics = run->recorder.tests[0].metrics;
  ASSERT_EQ(metrics.size(), 3u);
  EXPECT_NEAR(metrics[0].value, numbers_after(final_test, "accuracy")[0], 1e-6);
  EXPECT_NEAR(metrics[1].value, numbers_after(final_test, "accuracy_top5")[0], 1e-6);
  EXPECT_NEAR(metrics[2].value, numbers_after(final_test, "loss")[0], 2e-4);
}

TEST_P(CaffeTraining, HasCaffesWeightsOnTheWay) {
  RESNET_NEEDS_FILE(caffe_);
  const std::unique_ptr<TrainRun> run = open("max_iter: 1");
  run->solver.run();
  expect_weights(*run, caffe_ + "/final_main_after_1.caffemodel");
  const std::unique_ptr<TrainRun> longer = open("max_iter: 10");
  longer->solver.run();
  expect_weights(*longer, caffe_ + "/final_main_after_10.caffemodel");
}

INSTANTIATE_TEST_SUITE_P(Backends, CaffeTraining, ::testing::Values("reference", "onednn"));

}  // namespace
}  // namespace resnet::testing
