// Bad labels and NaN must be seen by whoever watches the loss, on every backend.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "backends_under_test.h"
#include "runner.h"

namespace resnet::testing {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

class NonFinite : public ::testing::TestWithParam<std::string> {
 protected:
  Backend& backend() { return *backend_under_test(GetParam()).backend; }
};

bool has_nan(const HostTensor& t) {
  for (int64_t i = 0; i < t.count(); ++i) {
    if (std::isnan(t[i])) return true;
  }
  return false;
}

HostTensor with_value(const HostTensor& t, int64_t at, double value) {
  HostTensor changed = copy_of(t);
  changed.set(at, value);
  return changed;
}

TEST_P(NonFinite, LabelsOutsideTheClassesMakeTheLossNaN) {
  for (double label : {5.0, -1.0, 1e9}) {
    SCOPED_TRACE(label);
    const Case c{"labels", SoftmaxLoss{}, {{6, 5}}};
    Runner runner(backend(), c);
    runner.set_input(1, with_value(runner.input(1), 3, label));
    EXPECT_TRUE(std::isnan(runner.run(Pass::forward)[0][0]));
    runner.run(Pass::backward);  // whatever it gives, it stays within its memory
    const Case accuracy{"labels", Accuracy{}, {{6, 5}}};
    Runner metric(backend(), accuracy);
    metric.set_input(1, with_value(metric.input(1), 3, label));
    EXPECT_TRUE(std::isnan(metric.run(Pass::forward)[0][0]));
  }
}

TEST_P(NonFinite, IgnoredLabelsMayLieOutside) {
  const Case c{"labels", SoftmaxLoss{.has_ignore = true, .ignore_label = -1}, {{6, 5}}};
  Runner runner(backend(), c);
  runner.set_input(1, with_value(runner.input(1), 3, -1));
  EXPECT_FALSE(has_nan(runner.run(Pass::forward)[0]));
}

// Ops whose output may not depend on the first value of src.
bool may_drop_values(const Case& c) {
  if (const auto* loss = std::get_if<SoftmaxLoss>(&c.op)) return loss->has_ignore;
  // oneDNN's ReLU after a convolution turns NaN into 0; it is used in inference only.
  if (const auto* conv = std::get_if<Convolution>(&c.op)) return conv->relu;
  return std::holds_alternative<Slice>(c.op) || std::holds_alternative<Accuracy>(c.op) ||
         std::holds_alternative<Dropout>(c.op) || std::holds_alternative<CountLabels>(c.op) ||
         std::holds_alternative<RecordBatch>(c.op) || std::holds_alternative<DrawBatch>(c.op) ||
         std::holds_alternative<NormaliseImages>(c.op) ||
         std::holds_alternative<PrepareUpdate>(c.op) || c.src.empty();
}

// A NaN in src reaches dst: ReLU and maxima must not swallow it.
TEST_P(NonFinite, NaNReachesTheOutput) {
  for (const Case& c : small_cases()) {
    if (may_drop_values(c)) continue;
    SCOPED_TRACE(c.name);
    Runner runner(backend(), c);
    const auto* norm = std::get_if<BatchNorm>(&c.op);
    if (norm != nullptr && norm->add_stride > 0 && !runner.supports(Pass::forward).ok) continue;
    runner.set_input(0, with_value(runner.input(0), 0, kNaN));
    EXPECT_TRUE(has_nan(runner.run(Pass::forward)[0]));
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, NonFinite,
                         ::testing::Values("onednn", "reference_module", "cuda"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace resnet::testing
