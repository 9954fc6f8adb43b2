#include "resnet/solver/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <regex>

#include "io/io_test_util.h"
#include "resnet/io/prototxt.h"

namespace resnet::testing {
namespace {

History history_of(int64_t window, const std::vector<double>& errors) {
  History history;
  history.window = window;
  constexpr int64_t kImages = 100;
  for (const double error : errors) {
    for (int64_t i = 0; i < window; ++i) history.add(1.0, error * kImages, kImages);
  }
  return history;
}

SolverParameter solver_of(const std::string& text) {
  SolverParameter param = parse_solver_prototxt(text);
  check_schedule(param);
  return param;
}

// The two fields of each entry of Caffe's list.
struct Policy {
  std::string solver;
  std::vector<double> rates;
};

std::vector<Policy> read_policies(const std::string& path) {
  std::ifstream file(path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  std::vector<Policy> policies;
  const std::regex entry(R"re("solver": "([^"]*)", "lr": \[([^\]]*)\])re");
  for (std::sregex_iterator it(text.begin(), text.end(), entry), end; it != end; ++it) {
    Policy policy{(*it)[1], {}};
    std::stringstream numbers((*it)[2]);
    for (std::string number; std::getline(numbers, number, ',');) {
      policy.rates.push_back(std::stod(number));
    }
    policies.push_back(std::move(policy));
  }
  return policies;
}

TEST(LearningRate, IsCaffes) {
  const std::string path = shared_dir() + "/caffe/train/lr_policies.json";
  RESNET_NEEDS_FILE(path);
  const std::vector<Policy> policies = read_policies(path);
  ASSERT_EQ(policies.size(), 8u);
  for (const Policy& policy : policies) {
    const SolverParameter param = solver_of(policy.solver);
    ASSERT_EQ(policy.rates.size(), 101u);
    for (size_t i = 0; i < policy.rates.size(); ++i) {
      const double rate = learning_rate(param, static_cast<int64_t>(i), {});
      EXPECT_NEAR(rate, policy.rates[i], 2e-6 * policy.rates[i]) << policy.solver << " at " << i;
    }
  }
}

TEST(LearningRate, PassesOneStepvalueAnIteration) {
  const SolverParameter param = solver_of(
      "base_lr: 1 lr_policy: 'multistep' gamma: 0.5 stepvalue: 10 stepvalue: 10 stepvalue: 11");
  EXPECT_DOUBLE_EQ(learning_rate(param, 9, {}), 1);
  EXPECT_DOUBLE_EQ(learning_rate(param, 10, {}), 0.5);
  EXPECT_DOUBLE_EQ(learning_rate(param, 11, {}), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(param, 12, {}), 0.125);
  EXPECT_EQ(schedule_steps(param, 100, {}), 3);
}

TEST(LearningRate, CosineEndsAtMinLr) {
  const SolverParameter param =
      solver_of("base_lr: 0.5 lr_policy: 'cosine' min_lr: 0.1 max_iter: 100");
  EXPECT_NEAR(learning_rate(param, 0, {}), 0.5, 1e-7);
  EXPECT_NEAR(learning_rate(param, 50, {}), 0.3, 1e-7);
  EXPECT_NEAR(learning_rate(param, 100, {}), 0.1, 1e-7);
}

TEST(LearningRate, WarmsUpLinearlyToThePolicysRate) {
  const SolverParameter param = solver_of(
      "base_lr: 1 lr_policy: 'step' stepsize: 5 gamma: 0.5 warmup_iter: 10 warmup_start_lr: 0.2");
  EXPECT_NEAR(learning_rate(param, 0, {}), 0.2, 1e-7);
  EXPECT_NEAR(learning_rate(param, 4, {}), 0.2 + 0.8 * 0.4, 1e-7);
  EXPECT_NEAR(learning_rate(param, 5, {}), 0.2 + 0.3 * 0.5, 1e-7);
  EXPECT_NEAR(learning_rate(param, 10, {}), 0.25, 1e-7);
}

TEST(LearningRate, ResNet110WarmsUpUntilTheTrainingErrorFalls) {
  const SolverParameter param =
      solver_of("base_lr: 0.1 lr_policy: 'fixed' warmup_lr: 0.01 warmup_error: 0.8 window: 10");
  const History history = history_of(10, {0.9, 0.85, 0.79, 0.95});
  EXPECT_NEAR(learning_rate(param, 0, history), 0.01, 1e-9);
  // The window [20,30) is the first below; decisions see it from iteration 30 + 10 on.
  EXPECT_NEAR(learning_rate(param, 39, history), 0.01, 1e-9);
  EXPECT_NEAR(learning_rate(param, 40, history), 0.1, 1e-8);
  EXPECT_NEAR(learning_rate(param, 1000, history), 0.1, 1e-8);
}

TEST(LearningRate, PlateauDropsAfterPatientWindows) {
  const SolverParameter param = solver_of(
      "base_lr: 1 lr_policy: 'plateau' plateau_patience: 2 plateau_threshold: 0.1 "
      "min_lr: 0.02 window: 10");
  // The best is 0.5; 0.46 is not below 0.9 * 0.5, so two windows in a row are no better.
  const History history = history_of(10, {0.8, 0.5, 0.46, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3});
  EXPECT_NEAR(learning_rate(param, 49, history), 1, 1e-9);
  EXPECT_NEAR(learning_rate(param, 50, history), 0.1, 1e-7);
  EXPECT_NEAR(learning_rate(param, 79, history), 0.1, 1e-7);
  EXPECT_NEAR(learning_rate(param, 80, history), 0.02, 1e-7) << "not under min_lr";
  // The future does not matter: iteration 50 sees four windows however many there are.
  EXPECT_EQ(learning_rate(param, 50, history),
            learning_rate(param, 50, history_of(10, {0.8, 0.5, 0.46, 0.5})));
}

TEST(LearningRate, PlateauMayUseLongerWindowsOrTests) {
  const SolverParameter grouped = solver_of(
      "base_lr: 1 lr_policy: 'plateau' plateau_patience: 1 window: 10 plateau_window: 20");
  const History history = history_of(10, {0.5, 0.7, 0.6, 0.6});
  EXPECT_NEAR(learning_rate(grouped, 49, history), 1, 1e-9);
  EXPECT_NEAR(learning_rate(grouped, 50, history), 0.1, 1e-7);

  const SolverParameter tested =
      solver_of("base_lr: 1 lr_policy: 'plateau' plateau_patience: 1 plateau_on: TEST window: 10");
  History tests;
  tests.window = 10;
  for (const int64_t iteration : {100, 200}) {
    TestResult result;
    result.set_iteration(iteration);
    result.set_error(0.4);
    tests.tests.push_back(result);
  }
  EXPECT_NEAR(learning_rate(tested, 209, tests), 1, 1e-9);
  EXPECT_NEAR(learning_rate(tested, 210, tests), 0.1, 1e-7);
}

TEST(LearningRate, MistakesAreNamed) {
  const auto error = [](const std::string& text) {
    return error_of<ConfigError>([&] { solver_of(text); });
  };
  EXPECT_NE(error("base_lr: 1 lr_policy: 'multi_step'").find("did you mean 'multistep'"),
            std::string::npos);
  EXPECT_NE(error("lr_policy: 'fixed'").find("base_lr is missing"), std::string::npos);
  EXPECT_NE(error("base_lr: 1 lr_policy: 'step' gamma: 0.1").find("needs stepsize"),
            std::string::npos);
  EXPECT_NE(error("base_lr: 1 lr_policy: 'exp'").find("needs gamma"), std::string::npos);
  EXPECT_NE(error("base_lr: 1 lr_policy: 'plateau' window: 10 plateau_window: 15").find("multiple"),
            std::string::npos);
}

}  // namespace
}  // namespace resnet::testing
