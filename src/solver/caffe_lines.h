// The log lines of a run in Caffe's wording, which other people's scripts read.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "resnet/solver/observer.h"

namespace resnet::caffe {

// "Solving NET", "Learning Rate Policy: POLICY".
std::vector<std::string> solving_lines(const StartReport& start);

// "Iteration 100 (5.2 iter/s, 3.8s/20 iters), loss = 1.23": of `iterations` that took `seconds`.
std::string iteration_line(const StepReport& step, int64_t iterations, double seconds,
                           int64_t display);
// "    Train net output #0: loss = 1.2 (* 1 = 1.2 loss)", for each output; phase: Train or Test.
std::vector<std::string> output_lines(const std::string& phase, std::span<const Metric> metrics);
// "Iteration 100, lr = 0.1".
std::string rate_line(const StepReport& step);

// "Iteration 100, Testing net (#0)".
std::string testing_line(int64_t iteration);

std::string model_line(const SnapshotPaths& paths);
std::string state_line(const SnapshotPaths& paths);

// "Optimization stopped early.", or "Iteration 100, loss = 1.2" where that iteration would be displayed
// and "Optimization Done."; none after a loss that is not finite, at which Caffe would go on.
std::vector<std::string> stop_lines(const StopReport& stop, int64_t display);

}  // namespace resnet::caffe
