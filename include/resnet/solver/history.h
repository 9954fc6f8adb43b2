// What a run has measured so far: sums over windows of W iterations, and tests; in the solverstate.
#pragma once

#include <cstdint>
#include <vector>

#include "resnet/proto/resnet.pb.h"

namespace resnet {

struct History {
  int64_t window = 100;  // W, iterations
  // Closed, oldest first: windows[k] holds the iterations [kW, (k+1)W).
  std::vector<MetricsWindow> windows;
  MetricsWindow open;
  std::vector<TestResult> tests;  // oldest first

  // Adds the next iteration's loss and number of wrongly classified images; closes the window when
  // full.
  void add(double loss, double wrong, int64_t images);
  // As if `iteration` iterations had been done that nothing is known about.
  void skip_to(int64_t iteration);
  bool tested_at(int64_t iteration) const;

  void save(SolverState* state) const;
  void load(const SolverState& state);
};

// Iterations per window: `window`, else `display`, else 100.
int64_t window_of(const SolverParameter& param);

}  // namespace resnet
