// What several kinds of logs derive from the reports of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "resnet/solver/observer.h"

namespace resnet {

// What several iterations took: those between two lines of a log.
struct Pace {
  int64_t images = 0;
  double seconds = 0, data_seconds = 0;

  void add(const StepReport& step) {
    images += step.images;
    seconds += step.seconds;
    data_seconds += step.data_seconds;
  }
  // Both only when seconds > 0.
  double images_per_s() const { return static_cast<double>(images) / seconds; }
  double data_share() const { return data_seconds / seconds; }
};

// Whether a log for programs has a line for this iteration: every `display` iterations, or every window
// where nothing is displayed.
inline bool is_logged(const StartReport& run, int64_t iteration) {
  const int64_t every = run.display > 0 ? run.display : run.window;
  return every > 0 && iteration % every == 0;
}

// The total loss, where there is one.
inline std::optional<double> loss_of(std::span<const Metric> metrics) {
  for (const Metric& metric : metrics) {
    if (metric.kind == Output::Kind::loss) return total_loss(metrics);
  }
  return std::nullopt;
}

}  // namespace resnet
