#include "solver/caffe_lines.h"

#include <cmath>
#include <sstream>

namespace resnet::caffe {
namespace {

// As Caffe, which computes in float, prints it: six digits. A NaN has no sign: parse_log.py takes "-" for a
// number and fails, but leaves out "nan".
std::string shown(double value) {
  if (std::isnan(value)) return "nan";
  std::ostringstream out;
  out << static_cast<float>(value);
  return out.str();
}

}  // namespace

std::vector<std::string> solving_lines(const StartReport& start) {
  return {"Solving " + start.net, "Learning Rate Policy: " + start.lr_policy};
}

std::string iteration_line(const StepReport& step, int64_t iterations, double seconds,
                           int64_t display) {
  std::ostringstream out;
  out << "Iteration " << step.iteration << " ("
      << shown(static_cast<float>(iterations) / static_cast<float>(seconds > 0 ? seconds : 1))
      << " iter/s, " << shown(seconds) << "s/" << display
      << " iters), loss = " << shown(step.smoothed_loss);
  return out.str();
}

std::vector<std::string> output_lines(const std::string& phase, std::span<const Metric> metrics) {
  std::vector<std::string> lines;
  for (const Metric& metric : metrics) {
    std::ostringstream out;
    out << "    " << phase << " net output #" << lines.size() << ": " << metric.name << " = "
        << shown(metric.value);
    if (metric.loss_weight != 0) {
      out << " (* " << metric.loss_weight << " = " << shown(metric.loss_weight * metric.value)
          << " loss)";
    }
    lines.push_back(out.str());
  }
  return lines;
}

std::string rate_line(const StepReport& step) {
  std::ostringstream out;
  out << "Iteration " << step.iteration << ", lr = " << shown(step.rate);
  return out.str();
}

std::string testing_line(int64_t iteration) {
  return "Iteration " + std::to_string(iteration) + ", Testing net (#0)";
}

std::string model_line(const SnapshotPaths& paths) {
  return "Snapshotting to binary proto file " + paths.model;
}

std::string state_line(const SnapshotPaths& paths) {
  return "Snapshotting solver state to binary proto file " + paths.state;
}

std::vector<std::string> stop_lines(const StopReport& stop, int64_t display) {
  if (stop.why == StopReport::Why::non_finite) return {};
  if (stop.why == StopReport::Why::interrupted) return {"Optimization stopped early."};
  std::vector<std::string> lines;
  if (display > 0 && stop.iteration % display == 0 && stop.loss) {
    std::ostringstream out;
    out << "Iteration " << stop.iteration << ", loss = " << shown(*stop.loss);
    lines.push_back(out.str());
  }
  lines.emplace_back("Optimization Done.");
  return lines;
}

}  // namespace resnet::caffe
