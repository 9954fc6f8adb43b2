#include <glog/logging.h>

#include <cmath>
#include <cstdio>
#include <sstream>

#include "resnet/solver/observer.h"
#include "solver/caffe_lines.h"
#include "solver/log_values.h"

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
    for (const std::string& line : caffe::solving_lines(start)) line_(line);
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
    pace_.add(step);
    if (start_.display <= 0 || step.iteration % start_.display != 0) return;
    line_(caffe::iteration_line(step, step.iteration - since_, pace_.seconds, start_.display) +
          progress(step));
    for (const std::string& line : caffe::output_lines("Train", step.metrics)) line_(line);
    line_(caffe::rate_line(step));
    since_ = step.iteration;
    pace_ = {};
  }

  void on_test_start(int64_t iteration) override { line_(caffe::testing_line(iteration)); }

  void on_test(const TestReport& test) override {
    for (const std::string& line : caffe::output_lines("Test", test.metrics)) line_(line);
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
    line_(caffe::model_line(paths));
    line_(caffe::state_line(paths));
  }

  void on_snapshot(const SnapshotReport& report) override {
    for (const std::string& note : report.notes) line_(note);
  }

  void on_stop(const StopReport& stop) override {
    for (const std::string& line : caffe::stop_lines(stop, start_.display)) line_(line);
  }

  void on_note(const std::string& warning) override { LOG(WARNING) << warning; }

 private:
  // Ours, after Caffe's text.
  std::string progress(const StepReport& step) const {
    std::string text = ", epoch " + fixed(step.epoch, 2);
    if (pace_.images == 0) return text;
    Pace pace = pace_;
    if (pace.seconds <= 0) pace.seconds = 1;
    text += ", " + fixed(pace.images_per_s(), 1) + " images/s, data " +
            fixed(100 * pace.data_share(), 1) + " %";
    const auto left = static_cast<double>(start_.max_iter - step.iteration - 1);
    const double per_iteration =
        pace.seconds * static_cast<double>(step.images) / static_cast<double>(pace.images);
    return text + ", ETA " + clock_text(left * per_iteration);
  }

  LineSink line_;
  StartReport start_;
  int64_t since_ = 0;  // iteration of the last line
  Pace pace_;          // since then
};

}  // namespace

std::unique_ptr<Observer> console_observer(LineSink line) {
  if (!line) line = [](const std::string& text) { LOG(INFO) << text; };
  return std::make_unique<Console>(std::move(line));
}

}  // namespace resnet
