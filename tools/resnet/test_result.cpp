#include "test_result.h"

#include <cstdio>
#include <iostream>

#include "flags.h"
#include "report.h"

namespace resnet::cli {
namespace {

// The errors that are reported: top-5 means something for more than five classes only.
std::vector<int> reported_errors(const ScoreMetrics& scores) {
  return scores.classes() > 5 ? std::vector<int>{1, 5} : std::vector<int>{1};
}

double rate(const TestResult& result) {
  return static_cast<double>(result.scores.images()) / result.seconds;
}

std::string error_text(const ScoreMetrics& scores, int top_k) {
  const Interval interval = wilson_interval(scores.error(top_k), scores.images());
  char text[80];
  std::snprintf(text, sizeof text, "top-%d %.2f %% [%.2f, %.2f]", top_k, 100 * scores.error(top_k),
                100 * interval.low, 100 * interval.high);
  return text;
}

void print_text(const TestResult& result) {
  for (const Metric& metric : result.outputs) {
    std::cout << metric.name << " = " << static_cast<float>(metric.value) << '\n';
  }
  std::cout << "error on " << result.scores.images() << " images (" << result.protocol;
  if (result.models > 1) std::cout << ", " << result.models << " models";
  const char* before = "): ";
  for (const int top_k : reported_errors(result.scores)) {
    std::cout << before << error_text(result.scores, top_k);
    before = ", ";
  }
  char end[40];
  std::snprintf(end, sizeof end, "; %.1f images/s\n", rate(result));
  std::cout << end;
}

void print_json(const TestResult& result, const std::string& device) {
  Json out;
  set_errors(result, &out);
  if (!result.outputs.empty()) {
    Json outputs;
    for (const Metric& metric : result.outputs) outputs.set(metric.name, metric.value);
    out.set("outputs", outputs);
  }
  out.set("images_per_s", rate(result)).set("peak_bytes", peak_bytes());
  if (result.parameters) out.set("parameters", *result.parameters);
  std::cout << out.set("device", device).str() << '\n';
}

}  // namespace

void set_errors(const TestResult& result, Json* out) {
  for (const int top_k : reported_errors(result.scores)) {
    const double error = result.scores.error(top_k);
    const Interval interval = wilson_interval(error, result.scores.images());
    const std::string key = "test_error_top" + std::to_string(top_k);
    out->set(key, 100 * error);
    out->set(key + "_interval", Json::array().push(100 * interval.low).push(100 * interval.high));
  }
  out->set("images", result.scores.images()).set("protocol", result.protocol);
  out->set("models", result.models);
}

void print(const TestResult& result, const std::string& device) {
  FLAGS_json ? print_json(result, device) : print_text(result);
}

}  // namespace resnet::cli
