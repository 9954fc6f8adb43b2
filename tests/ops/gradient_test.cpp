// Gradients of every op against central differences, in double on the reference backend.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends_under_test.h"
#include "runner.h"

namespace resnet::testing {
namespace {

constexpr int64_t kMostElements = 60, kMostOfLarge = 6;  // checked of one input

// The scalar whose gradient the backward passes compute: the loss, or the inner product of dst with diff_dst.
class Objective {
 public:
  Objective(const Case& c) : case_(c), runner_(reference_backend(), c, DType::f64) {}

  double operator()() {
    const std::vector<HostTensor> out = runner_.run(Pass::forward);
    if (const auto* loss = std::get_if<SoftmaxLoss>(&case_.op))
      return loss->loss_weight * out[0][0];
    const HostTensor diff = runner_.diff_output(0);
    double sum = 0;
    for (int64_t i = 0; i < diff.count(); ++i) sum += diff[i] * out[0][i];
    return sum;
  }

  // Central difference along element `at` of forward input i.
  double slope(size_t i, int64_t at, double step) {
    const HostTensor original = copy_of(runner_.input(i));
    const auto shifted = [&](double by) {
      HostTensor moved = copy_of(original);
      moved.set(at, original[at] + by);
      runner_.set_input(i, std::move(moved));
      return (*this)();
    };
    const double difference = shifted(step) - shifted(-step);
    runner_.set_input(i, copy_of(original));
    return difference / (2 * step);
  }

  int64_t most_elements() const { return is_large(case_) ? kMostOfLarge : kMostElements; }

 private:
  const Case& case_;
  Runner runner_;
};

class Gradient : public ::testing::TestWithParam<const Case*> {};

void check(Objective& objective, size_t input, const HostTensor& gradient) {
  double largest = 1e-3;
  for (int64_t i = 0; i < gradient.count(); ++i) largest = std::max(largest, std::abs(gradient[i]));
  const int64_t stride = std::max<int64_t>(1, gradient.count() / objective.most_elements());
  for (int64_t at = 0; at < gradient.count(); at += stride) {
    // A step across a kink (ReLU, maximum) is wrong; a smaller one is not.
    double error = INFINITY;
    for (double step : {1e-3, 1e-4, 1e-5, 1e-6}) {
      error = std::min(error, std::abs(objective.slope(input, at, step) - gradient[at]));
      if (error <= 1e-7 * largest) break;
    }
    EXPECT_LE(error, 1e-6 * largest)
        << "input " << input << " element " << at << ", gradient " << gradient[at];
  }
}

TEST_P(Gradient, MatchesCentralDifferences) {
  const Case& c = *GetParam();
  Runner runner(reference_backend(), c, DType::f64);
  Objective objective(c);
  const auto n = static_cast<int>(forward_inputs(c, DType::f64).size());
  bool any = false;
  for (Pass pass : {Pass::backward, Pass::backward_data, Pass::backward_weights}) {
    const auto operands = signature(c.op, pass, n);
    if (!operands) continue;
    any = true;
    SCOPED_TRACE(name_of(pass));
    const std::vector<HostTensor> gradients = runner.run(pass);
    for (size_t i = 0; i < gradients.size(); ++i) {
      check(objective, static_cast<size_t>(operands->out[i].index), gradients[i]);
    }
  }
  EXPECT_TRUE(any);
}

bool has_gradient(const Case& c) {
  const std::vector<Pass> passes = Runner::passes(c);
  return std::any_of(passes.begin(), passes.end(), [](Pass p) {
    return p == Pass::backward || p == Pass::backward_data || p == Pass::backward_weights;
  });
}

std::vector<const Case*> differentiable() {
  std::vector<const Case*> cases;
  for (const Case& c : small_cases()) {
    if (has_gradient(c) && !c.ties) cases.push_back(&c);
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradient, ::testing::ValuesIn(differentiable()),
                         [](const auto& info) { return info.param->name; });

}  // namespace
}  // namespace resnet::testing
