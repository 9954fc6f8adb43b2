// One update after the other against Caffe's rules in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "train/train_run.h"

namespace resnet::testing {
namespace {

// A classifier without state, whose bias has other multipliers than its weights.
std::string linear_net(const std::string& dir, int batch) {
  std::string net =
      cifar_data_layer("TRAIN", dir, "") + cifar_data_layer("TEST", dir, "") +
      conv("conv1", "data", 4, 3, 2) + relu("conv1") +
      layer("fc", "InnerProduct", "conv1", "fc",
            "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } "
            "inner_product_param { num_output: 10 weight_filler { type: 'xavier' } }") +
      layer("loss", "SoftmaxWithLoss", "fc,label", "loss");
  const std::string eight = "batch_size: 8";
  for (size_t at = 0; (at = net.find(eight, at)) != std::string::npos; ++at) {
    net.replace(at, eight.size(), "batch_size: " + std::to_string(batch));
  }
  return net;
}

// Caffe's learning rate of an iteration, from the formulas in its documentation of SolverParameter.
double caffe_rate(const SolverParameter& param, int64_t iteration) {
  const double base = param.base_lr(), gamma = param.gamma(), power = param.power();
  const auto i = static_cast<double>(iteration);
  const std::string& policy = param.lr_policy();
  if (policy == "step") return base * std::pow(gamma, std::floor(i / param.stepsize()));
  if (policy == "exp") return base * std::pow(gamma, i);
  if (policy == "inv") return base * std::pow(1 + gamma * i, -power);
  if (policy == "poly") return base * std::pow(1 - i / param.max_iter(), power);
  if (policy == "sigmoid") return base / (1 + std::exp(-gamma * (i - param.stepsize())));
  if (policy == "multistep") {
    const auto passed = std::count_if(param.stepvalue().begin(), param.stepvalue().end(),
                                      [&](int at) { return at <= iteration; });
    return base * std::pow(gamma, static_cast<double>(passed));
  }
  EXPECT_EQ(policy, "fixed");
  return base;
}

// Repeats each update in double from the gradients that the net has, in Caffe's order: clip, divide by
// iter_size, decay, momentum.
class CaffeRule : public Observer {
 public:
  explicit CaffeRule(const SolverParameter& param) : param_(param) {}

  void watch(const Net* net) {
    net_ = net;
    for (size_t i = 0; i < net->parameters().size(); ++i) {
      const HostArray value = net->read_parameter(static_cast<int>(i));
      weights_.emplace_back(value.data.begin(), value.data.end());
      history_.emplace_back(value.data.size(), 0.0);
    }
  }

  void on_step(const StepReport& step) override {
    double squares = 0;
    std::vector<std::vector<float>> gradients;
    for (size_t i = 0; i < weights_.size(); ++i) {
      gradients.push_back(net_->read_gradient(static_cast<int>(i)).data);
      for (const double g : gradients.back()) squares += g * g;
    }
    const double norm = std::sqrt(squares);
    const double base_rate = caffe_rate(param_, step.iteration);
    EXPECT_NEAR(step.rate, base_rate, 1e-6 * base_rate) << "iteration " << step.iteration;
    double scale = 1.0 / param_.iter_size();
    if (param_.clip_gradients() >= 0 && norm > param_.clip_gradients()) {
      scale *= param_.clip_gradients() / norm;
      ++clipped;
    }
    for (size_t i = 0; i < weights_.size(); ++i) {
      const Parameter& parameter = net_->parameters()[i];
      const double rate = base_rate * parameter.lr_mult, momentum = param_.momentum();
      const double decay = param_.weight_decay() * parameter.decay_mult;
      for (size_t k = 0; k < weights_[i].size(); ++k) {
        double& w = weights_[i][k];
        double& h = history_[i][k];
        const double sign = w > 0 ? 1 : w < 0 ? -1 : 0;
        const double g =
            scale * gradients[i][k] + decay * (param_.regularization_type() == "L1" ? sign : w);
        const double before = h;
        h = momentum * h + rate * g;
        w -= param_.type() == "Nesterov" ? (1 + momentum) * h - momentum * before : h;
      }
      compare(parameter.name(), net_->read_parameter(static_cast<int>(i)).data, weights_[i]);
      compare(parameter.name() + " history", net_->read_history(static_cast<int>(i)).data,
              history_[i]);
    }
    ++steps;
  }

  int steps = 0, clipped = 0;

 private:
  static void compare(const std::string& name, const std::vector<float>& got,
                      const std::vector<double>& wanted) {
    double difference = 0, size = 0;
    for (size_t k = 0; k < wanted.size(); ++k) {
      difference += (got[k] - wanted[k]) * (got[k] - wanted[k]);
      size += wanted[k] * wanted[k];
    }
    EXPECT_LE(std::sqrt(difference), 2e-6 * std::sqrt(size) + 1e-12) << name;
  }

  SolverParameter param_;
  const Net* net_ = nullptr;
  std::vector<std::vector<double>> weights_, history_;
};

using Case = std::tuple<std::string, std::string>;
class UpdateRule : public ::testing::TestWithParam<Case> {};

TEST_P(UpdateRule, IsCaffes) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  const auto& [backend, fields] = GetParam();
  const std::string text = changed(kSmallSolver, "test_interval: 0 " + fields);
  TrainRun run(text, linear_net(dir.path(), 8), dir / "run", {.backend = backend});
  CaffeRule rule(run.param);
  rule.watch(&run.net);
  Solver solver({run.param, dir / "run", run.seed, {&rule}, {}}, run.net, run.train, nullptr);
  solver.run();
  EXPECT_EQ(rule.steps, 10);
  if (run.param.clip_gradients() > 0) {
    EXPECT_GT(rule.clipped, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rules, UpdateRule,
    ::testing::Combine(
        ::testing::Values("reference", "onednn"),
        ::testing::Values("", "type: 'Nesterov'", "regularization_type: 'L1'", "iter_size: 3",
                          "clip_gradients: 0.5", "momentum: 0 weight_decay: 0",
                          "clip_gradients: 0.5 iter_size: 2 type: 'Nesterov'",
                          "regularization_type: 'L1' clip_gradients: 0.5 iter_size: 2",
                          "regularization_type: 'L1' type: 'Nesterov' weight_decay: 0.01",
                          "lr_policy: 'step' stepsize: 2 gamma: 0.5", "stepvalue: 9 gamma: 0.3",
                          "lr_policy: 'exp' gamma: 0.8", "lr_policy: 'inv' gamma: 0.5 power: 0.75",
                          "lr_policy: 'poly' power: 2 type: 'Nesterov'",
                          "lr_policy: 'sigmoid' gamma: -0.7 stepsize: 3")));

TEST(IterSize, AveragesBatches) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  TrainRun whole(changed(kSmallSolver, "test_interval: 0"), linear_net(dir.path(), 8), dir / "a");
  TrainRun halves(changed(kSmallSolver, "test_interval: 0 iter_size: 2"), linear_net(dir.path(), 4),
                  dir / "b");
  whole.solver.run();
  halves.solver.run();
  for (size_t i = 0; i < whole.net.parameters().size(); ++i) {
    const auto index = static_cast<int>(i);
    EXPECT_LT(distance(halves.net.read_parameter(index).data, whole.net.read_parameter(index).data),
              1e-5);
  }
  EXPECT_NEAR(halves.recorder.steps[9].loss, whole.recorder.steps[9].loss, 1e-5);
  EXPECT_EQ(halves.recorder.steps[9].images, 8);
}

}  // namespace
}  // namespace resnet::testing
