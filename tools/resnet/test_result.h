// What a test found, as `resnet test` prints it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "resnet/base/json.h"
#include "resnet/eval/evaluate.h"

namespace resnet::cli {

struct TestResult {
  std::string protocol;         // "10crop at 256, average of probabilities"
  int64_t models = 1;           // averaged
  ScoreMetrics scores;          // of all images
  std::vector<Metric> outputs;  // the net's own losses and metrics, where the protocol has them
  double seconds = 0;
  std::optional<int64_t> parameters;  // of a single net
};

// Adds the members that `test --json` and report.json have in common: errors in percent, each with its
// interval (top-5 for nets of more than five classes), images, protocol and models.
void set_errors(const TestResult& result, Json* out);

// The result on stdout, as text or as --json wants it.
void print(const TestResult& result, const std::string& device);

}  // namespace resnet::cli
