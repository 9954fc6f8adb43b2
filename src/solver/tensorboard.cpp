// What TensorBoard shows of a run; docs/formats.md lists the tags.
#include <algorithm>
#include <cmath>
#include <optional>

#include "resnet/solver/observer.h"
#include "solver/event_file.h"
#include "solver/log_values.h"

namespace resnet {
namespace {

using tensorboard::Event;
using tensorboard::Summary;

void add(Summary* summary, const std::string& tag, double value) {
  Summary::Value* const added = summary->add_value();
  added->set_tag(tag);
  added->set_simple_value(static_cast<float>(value));
}

void add_percent(Summary* summary, const std::string& tag, const std::optional<double>& share) {
  if (share) add(summary, tag, 100 * *share);
}

void add_outputs(Summary* summary, const std::string& phase, std::span<const Metric> metrics) {
  for (const Metric& metric : metrics) {
    add(summary, "outputs/" + phase + "/" + metric.name, metric.value);
  }
}

// Counts of the finite values in buckets of equal width.
void fill(std::span<const float> values, tensorboard::Histogram* histogram) {
  constexpr int kBuckets = 60;
  double low = INFINITY, high = -INFINITY, count = 0, sum = 0, squares = 0;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min<double>(low, value);
    high = std::max<double>(high, value);
    ++count;
    sum += value;
    squares += static_cast<double>(value) * value;
  }
  if (count == 0) return;
  histogram->set_min(low);
  histogram->set_max(high);
  histogram->set_num(count);
  histogram->set_sum(sum);
  histogram->set_sum_squares(squares);
  const int buckets = high > low ? kBuckets : 1;
  const double width = (high - low) / buckets;
  std::vector<double> counts(static_cast<size_t>(buckets));
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const int bucket = width > 0 ? static_cast<int>((value - low) / width) : 0;
    ++counts[static_cast<size_t>(std::min(bucket, buckets - 1))];
  }
  for (int i = 0; i < buckets; ++i) {
    histogram->add_bucket_limit(i + 1 < buckets ? low + (i + 1) * width : high);
    histogram->add_bucket(counts[static_cast<size_t>(i)]);
  }
}

class TensorBoard : public Observer {
 public:
  TensorBoard(std::string directory, const Net* net)
      : directory_(std::move(directory)), net_(net) {}

  void on_start(const StartReport& start) override {
    start_ = start;
    file_.emplace(directory_);
    Event event = event_at(start.iteration);
    event.mutable_session_log()->set_status(tensorboard::SessionLog::START);
    file_->write(std::move(event));
    if (!start.test) return;  // else its values were just forgotten, and it is not made again
    event = event_at(start.iteration);
    Summary* const summary = event.mutable_summary();
    if (start.test->has_loss()) add(summary, "loss/test", start.test->loss());
    if (start.test->has_error()) add_percent(summary, "error_top1/test", start.test->error());
    file_->write(std::move(event));
  }

  void on_step(const StepReport& step) override {
    pace_.add(step);
    if (!is_logged(start_, step.iteration)) return;
    Event event = event_at(step.iteration);
    Summary* const summary = event.mutable_summary();
    add(summary, "loss/train", step.smoothed_loss);
    add_percent(summary, "error_top1/train", step.error);
    add(summary, "lr", step.rate);
    add(summary, "epoch", step.epoch);
    if (pace_.seconds > 0) {
      add(summary, "speed/images_per_s", pace_.images_per_s());
      add(summary, "speed/data_wait_share", pace_.data_share());
    }
    add_outputs(summary, "train", step.metrics);
    file_->write(std::move(event));
    pace_ = {};
  }

  void on_test(const TestReport& test) override {
    Event event = event_at(test.iteration);
    Summary* const summary = event.mutable_summary();
    if (const auto loss = loss_of(test.metrics)) add(summary, "loss/test", *loss);
    add_percent(summary, "error_top1/test", test.error);
    add_percent(summary, "error_top5/test", test.error_top5);
    add_outputs(summary, "test", test.metrics);
    file_->write(std::move(event));
    write_histograms(test.iteration);
  }

  void on_snapshot(const SnapshotReport& report) override { write_histograms(report.iteration); }

 private:
  static Event event_at(int64_t iteration) {
    Event event;
    event.set_step(iteration);
    return event;
  }

  void write_histograms(int64_t iteration) {
    if (net_ == nullptr || histograms_at_ == iteration) return;
    histograms_at_ = iteration;
    const std::vector<Parameter>& parameters = net_->parameters();
    Event event = event_at(iteration);
    for (size_t i = 0; i < parameters.size(); ++i) {
      if (!parameters[i].learnable) continue;
      Summary::Value* const value = event.mutable_summary()->add_value();
      value->set_tag("weights/" + parameters[i].name());
      fill(net_->read_parameter(static_cast<int>(i)).data, value->mutable_histo());
    }
    file_->write(std::move(event));
  }

  const std::string directory_;
  const Net* const net_;
  std::optional<EventFile> file_;  // from on_start
  StartReport start_;
  Pace pace_;  // since the last step that was written
  int64_t histograms_at_ = -1;
};

}  // namespace

std::unique_ptr<Observer> tensorboard_observer(const std::string& directory, const Net* net) {
  return std::make_unique<TensorBoard>(directory, net);
}

}  // namespace resnet
