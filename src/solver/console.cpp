#include <glog/logging.h>

#include <cmath>
#include <cstdio>
#include <sstream>

#include "resnet/solver/observer.h"

namespace resnet {
namespace {

// "2:03:04", hours growing as needed.
std::string clock_text(double seconds) {
  const auto total = static_cast<int64_t>(std::llround(std::max(seconds, 0.0)));
  char text[32];
  std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", static_cast<long long>(total / 3600),
                static_cast<long long>(total / 60 % 60), static_cast<long long>(total % 60));
  return text;
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

class Console : public Observer {
 public:
  explicit Console(LineSink line) : line_(std::move(line)) {}

  void on_start(const StartReport& start) override {
    start_ = start;
    since_ = start.iteration;
    line_("Solving " + start.net);
    line_("Learning Rate Policy: " + start.lr_policy);
    std::ostringstream out;
    out << "Device " << start.device << ", seed " << start.seed << ", " << start.batch
        << " images a batch";
    if (start.iter_size > 1) {
      out << " x iter_size " << start.iter_size << " = " << start.batch * start.iter_size;
    }
    if (start.shards > 1) out << ", " << start.shards << " shards";
    out << ", " << start.train_records << " training and " << start.test_records
        << " test records, " << start.parameters << " learnable parameters";
    line_(out.str());
    if (!start.resumed_from.empty()) {
      line_("Resumed from " + start.resumed_from + " at iteration " +
            std::to_string(start.iteration));
    }
  }

  void on_step(const StepReport& step) override {
    seconds_ += step.seconds;
    data_seconds_ += step.data_seconds;
    images_ += step.images;
    if (start_.display <= 0 || step.iteration % start_.display != 0) return;
    std::ostringstream out;
    const double seconds = seconds_ > 0 ? seconds_ : 1;
    out << "Iteration " << step.iteration << " ("
        << static_cast<float>(step.iteration - since_) / static_cast<float>(seconds) << " iter/s, "
        << static_cast<float>(seconds_) << "s/" << start_.display
        << " iters), loss = " << static_cast<float>(step.smoothed_loss) << progress(step, seconds);
    line_(out.str());
    print_outputs("Train", step.metrics);
    std::ostringstream rate;
    rate << "Iteration " << step.iteration << ", lr = " << static_cast<float>(step.rate);
    line_(rate.str());
    since_ = step.iteration;
    seconds_ = data_seconds_ = 0;
    images_ = 0;
  }

  void on_test_start(int64_t iteration) override {
    line_("Iteration " + std::to_string(iteration) + ", Testing net (#0)");
  }

  void on_test(const TestReport& test) override {
    print_outputs("Test", test.metrics);
    std::string text = "    Test on " + std::to_string(test.images) + " images";
    if (test.images < test.records) text += " of " + std::to_string(test.records);
    if (test.error) text += ": error " + fixed(100 * *test.error, 2) + " %";
    if (test.best) text += " (best so far)";
    if (test.seconds > 0) {
      text += ", " + fixed(static_cast<double>(test.images) / test.seconds, 1) + " images/s";
    }
    line_(text);
  }

  void on_snapshot_start(const SnapshotPaths& paths) override {
    line_("Snapshotting to binary proto file " + paths.model);
    line_("Snapshotting solver state to binary proto file " + paths.state);
  }

  void on_snapshot(const SnapshotReport& report) override {
    for (const std::string& note : report.notes) line_(note);
  }

  void on_stop(const StopReport& stop) override {
    if (stop.why == StopReport::Why::interrupted) {
      line_("Optimization stopped early.");
      return;
    }
    if (stop.why == StopReport::Why::non_finite) return;  // the error says it
    const bool displayed = start_.display > 0 && stop.iteration % start_.display == 0;
    if (displayed && stop.loss) {
      std::ostringstream out;
      out << "Iteration " << stop.iteration << ", loss = " << static_cast<float>(*stop.loss);
      line_(out.str());
    }
    line_("Optimization Done.");
  }

  void on_note(const std::string& warning) override { LOG(WARNING) << warning; }

 private:
  // Ours, after Caffe's text.
  std::string progress(const StepReport& step, double seconds) const {
    std::string text = ", epoch " + fixed(step.epoch, 2);
    if (images_ == 0) return text;
    text += ", " + fixed(static_cast<double>(images_) / seconds, 1) + " images/s, data " +
            fixed(100 * data_seconds_ / seconds, 1) + " %";
    const auto left = static_cast<double>(start_.max_iter - step.iteration - 1);
    const double per_iteration =
        seconds * static_cast<double>(step.images) / static_cast<double>(images_);
    return text + ", ETA " + clock_text(left * per_iteration);
  }

  void print_outputs(const std::string& phase, const std::vector<Metric>& metrics) {
    for (size_t i = 0; i < metrics.size(); ++i) {
      const Metric& metric = metrics[i];
      std::ostringstream out;
      out << "    " << phase << " net output #" << i << ": " << metric.name << " = "
          << static_cast<float>(metric.value);
      if (metric.loss_weight != 0) {
        out << " (* " << metric.loss_weight << " = "
            << static_cast<float>(metric.loss_weight * metric.value) << " loss)";
      }
      line_(out.str());
    }
  }

  LineSink line_;
  StartReport start_;
  int64_t since_ = 0, images_ = 0;  // since the last line
  double seconds_ = 0, data_seconds_ = 0;
};

}  // namespace

std::unique_ptr<Observer> console_observer(LineSink line) {
  if (!line) line = [](const std::string& text) { LOG(INFO) << text; };
  return std::make_unique<Console>(std::move(line));
}

}  // namespace resnet
