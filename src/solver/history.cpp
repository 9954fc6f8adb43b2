#include "resnet/solver/history.h"

#include <algorithm>

namespace resnet {

void History::add(double loss, double wrong, int64_t images) {
  open.set_index(static_cast<int64_t>(windows.size()));
  open.set_iterations(open.iterations() + 1);
  open.set_loss_sum(open.loss_sum() + loss);
  open.set_error_sum(open.error_sum() + wrong);
  open.set_images(open.images() + images);
  if (open.iterations() < window) return;
  windows.push_back(open);
  open.Clear();
}

void History::skip_to(int64_t iteration) {
  windows.clear();
  MetricsWindow unknown;
  unknown.set_iterations(window);
  for (int64_t i = 0; i < iteration / window; ++i) {
    unknown.set_index(i);
    windows.push_back(unknown);
  }
  open.Clear();
  open.set_iterations(iteration % window);
}

bool History::tested_at(int64_t iteration) const {
  return std::any_of(tests.begin(), tests.end(),
                     [&](const TestResult& test) { return test.iteration() == iteration; });
}

void History::save(SolverState* state) const {
  state->mutable_window()->Assign(windows.begin(), windows.end());
  *state->mutable_open_window() = open;
  state->mutable_test_result()->Assign(tests.begin(), tests.end());
}

void History::load(const SolverState& state) {
  windows.assign(state.window().begin(), state.window().end());
  open = state.open_window();
  tests.assign(state.test_result().begin(), state.test_result().end());
}

int64_t window_of(const SolverParameter& param) {
  constexpr int64_t kDefault = 100;
  if (param.window() > 0) return param.window();
  return param.display() > 0 ? param.display() : kDefault;
}

}  // namespace resnet
