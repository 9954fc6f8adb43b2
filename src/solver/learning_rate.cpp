#include "resnet/solver/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "resnet/base/error.h"
#include "resnet/base/nearest.h"

namespace resnet {
namespace {

const std::vector<std::string> kPolicies = {"fixed", "step",    "multistep", "exp",    "inv",
                                            "poly",  "sigmoid", "cosine",    "plateau"};

constexpr double kPlateauGamma = 0.1;

double gamma_of(const SolverParameter& param) {
  return param.lr_policy() == "plateau" && !param.has_gamma() ? kPlateauGamma : param.gamma();
}

// Caffe passes at most one stepvalue an iteration, so equal values take effect one after the other.
int64_t stepvalues_passed(const SolverParameter& param, int64_t iter) {
  int64_t passed = 0, at = -1;
  for (const int64_t value : param.stepvalue()) {
    at = std::max(value, at + 1);
    if (at > iter) break;
    ++passed;
  }
  return passed;
}

// Counts drops over a sequence of errors, oldest first.
class Plateau {
 public:
  explicit Plateau(const SolverParameter& param)
      : patience_(param.plateau_patience()), factor_(1 - param.plateau_threshold()) {}

  void add(double error) {
    if (error < factor_ * best_) {
      best_ = error;
      waited_ = 0;
    } else if (++waited_ >= patience_) {
      ++drops_;
      waited_ = 0;
    }
  }
  int64_t drops() const { return drops_; }

 private:
  int64_t patience_;
  double factor_;
  double best_ = std::numeric_limits<double>::infinity();
  int64_t waited_ = 0, drops_ = 0;
};

double error_of(double wrong, int64_t images) {
  return images > 0 ? wrong / static_cast<double>(images) : 1.0;
}

// Closed windows that a decision for `iter` may look at.
size_t visible_windows(int64_t iter, const History& history) {
  const int64_t ended = std::max<int64_t>(iter / history.window - 1, 0);
  return std::min(static_cast<size_t>(ended), history.windows.size());
}

int64_t plateau_drops(const SolverParameter& param, int64_t iter, const History& history) {
  Plateau plateau(param);
  if (param.plateau_on() == TEST) {
    for (const TestResult& test : history.tests) {
      if (test.iteration() <= iter - history.window) plateau.add(test.error());
    }
    return plateau.drops();
  }
  const int64_t group = param.plateau_window() > 0 ? param.plateau_window() / history.window : 1;
  const size_t visible = visible_windows(iter, history);
  double wrong = 0;
  int64_t images = 0;
  for (size_t i = 0; i < visible; ++i) {
    wrong += history.windows[i].error_sum();
    images += history.windows[i].images();
    if ((static_cast<int64_t>(i) + 1) % group != 0) continue;
    if (images > 0) plateau.add(error_of(wrong, images));
    wrong = 0;
    images = 0;
  }
  return plateau.drops();
}

// The paper's warm-up of ResNet-110: not yet good enough.
bool warming_up(const SolverParameter& param, int64_t iter, const History& history) {
  if (!param.has_warmup_lr()) return false;
  const size_t visible = visible_windows(iter, history);
  return std::none_of(history.windows.begin(),
                      history.windows.begin() + static_cast<std::ptrdiff_t>(visible),
                      [&](const MetricsWindow& window) {
                        return error_of(window.error_sum(), window.images()) <
                               static_cast<double>(param.warmup_error());
                      });
}

double policy_rate(const SolverParameter& param, int64_t iter, const History& history) {
  const std::string& policy = param.lr_policy();
  const double base = param.base_lr(), gamma = gamma_of(param), power = param.power();
  const auto i = static_cast<double>(iter);
  const double progress = i / static_cast<double>(std::max(param.max_iter(), 1));
  if (policy == "exp") return base * std::pow(gamma, i);
  if (policy == "inv") return base * std::pow(1 + gamma * i, -power);
  if (policy == "poly") return base * std::pow(1 - progress, power);
  if (policy == "sigmoid") return base / (1 + std::exp(-gamma * (i - param.stepsize())));
  if (policy == "cosine") {
    const double low = param.min_lr();
    return low + (base - low) * (1 + std::cos(std::numbers::pi * progress)) / 2;
  }
  const auto steps = static_cast<double>(schedule_steps(param, iter, history));
  const double rate = base * std::pow(gamma, steps);
  return policy == "plateau" ? std::max<double>(rate, param.min_lr()) : rate;
}

[[noreturn]] void fail(const std::string& fact) { throw ConfigError("solver: " + fact); }

void require_field(bool present, const SolverParameter& param, const char* field) {
  if (!present) {
    fail("lr_policy \"" + param.lr_policy() + "\" needs " + field + "; add it");
  }
}

}  // namespace

int64_t schedule_steps(const SolverParameter& param, int64_t iter, const History& history) {
  const std::string& policy = param.lr_policy();
  if (policy == "step") return iter / param.stepsize();
  if (policy == "multistep") return stepvalues_passed(param, iter);
  if (policy == "plateau") return plateau_drops(param, iter, history);
  return 0;
}

double learning_rate(const SolverParameter& param, int64_t iter, const History& history) {
  if (warming_up(param, iter, history)) return param.warmup_lr();
  const double rate = policy_rate(param, iter, history);
  if (iter >= param.warmup_iter()) return rate;
  const double start = param.warmup_start_lr();
  return start + (rate - start) * static_cast<double>(iter) / param.warmup_iter();
}

bool needs_training_error(const SolverParameter& param) {
  return param.has_warmup_lr() || (param.lr_policy() == "plateau" && param.plateau_on() == TRAIN);
}

bool needs_test_error(const SolverParameter& param) {
  return param.lr_policy() == "plateau" && param.plateau_on() == TEST;
}

void check_schedule(const SolverParameter& param) {
  const std::string& policy = param.lr_policy();
  if (std::find(kPolicies.begin(), kPolicies.end(), policy) == kPolicies.end()) {
    std::string known;
    for (const std::string& name : kPolicies) known += (known.empty() ? "" : ", ") + name;
    fail("lr_policy \"" + policy + "\" is unknown" +
         suggestion(policy, kPolicies, "; known are " + known));
  }
  if (!param.has_base_lr()) fail("base_lr is missing; add it");
  const bool uses_gamma = policy == "step" || policy == "multistep" || policy == "exp" ||
                          policy == "inv" || policy == "sigmoid";
  require_field(!uses_gamma || param.has_gamma(), param, "gamma");
  require_field((policy != "inv" && policy != "poly") || param.has_power(), param, "power");
  require_field((policy != "step" && policy != "sigmoid") || param.has_stepsize(), param,
                "stepsize");
  require_field(policy != "multistep" || param.stepvalue_size() > 0, param, "stepvalue");
  if (param.has_min_lr() && policy != "cosine" && policy != "plateau") {
    fail("min_lr counts with the policies cosine and plateau only; remove it");
  }
  if (policy == "step" && param.stepsize() < 1) fail("stepsize must be at least 1");
  if (policy == "plateau") {
    if (param.plateau_patience() < 1) fail("plateau_patience must be at least 1");
    if (param.plateau_window() % window_of(param) != 0) {
      fail("plateau_window " + std::to_string(param.plateau_window()) +
           " must be a multiple of the metrics window of " + std::to_string(window_of(param)) +
           " iterations");
    }
  }
  if (!std::is_sorted(param.stepvalue().begin(), param.stepvalue().end())) {
    fail("stepvalue must not decrease");
  }
}

}  // namespace resnet
