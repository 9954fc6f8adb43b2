#include <ctime>

#include "resnet/base/json.h"
#include "resnet/solver/observer.h"
#include "solver/log_file.h"
#include "solver/log_values.h"

namespace resnet {
namespace {

constexpr int kFormat = 1;  // of the lines; docs/formats.md, docs/log.schema.json

Json values(const std::vector<Metric>& metrics) {
  Json object;
  for (const Metric& metric : metrics) object.set(metric.name, metric.value);
  return object;
}

class JsonLog : public Observer {
 public:
  explicit JsonLog(const std::string& path) : file_(path) {}

  void on_start(const StartReport& start) override {
    start_ = start;
    write(event("start", start.iteration)
              .set("format", kFormat)
              .set("net", start.net)
              .set("device", start.device)
              .set("solver_type", start.solver_type)
              .set("lr_policy", start.lr_policy)
              .set("seed", start.seed)
              .set("max_iter", start.max_iter)
              .set("window", start.window)
              .set("batch", start.batch)
              .set("iter_size", start.iter_size)
              .set("shards", start.shards)
              .set("train_records", start.train_records)
              .set("test_records", start.test_records)
              .set("parameters", start.parameters)
              .set("resumed_from", start.resumed_from));
  }

  void on_step(const StepReport& step) override {
    pace_.add(step);
    if (!is_logged(start_, step.iteration)) return;
    Json line = event("step", step.iteration);
    line.set("epoch", step.epoch).set("lr", step.rate).set("loss", step.smoothed_loss);
    line.set("iteration_loss", step.loss).set("outputs", values(step.metrics));
    if (step.error) line.set("train_error_top1", 100 * *step.error);
    if (pace_.seconds > 0) {
      line.set("images_per_s", pace_.images_per_s());
      line.set("data_wait_share", pace_.data_share());
    }
    write(line);
    pace_ = {};
  }

  void on_test(const TestReport& test) override {
    Json line = event("test", test.iteration);
    line.set("images", test.images).set("outputs", values(test.metrics));
    if (const auto loss = loss_of(test.metrics)) line.set("loss", *loss);
    if (test.error) line.set("test_error_top1", 100 * *test.error);
    if (test.error_top5) line.set("test_error_top5", 100 * *test.error_top5);
    write(line.set("best", test.best).set("seconds", test.seconds));
  }

  void on_snapshot(const SnapshotReport& report) override {
    write(event("snapshot", report.iteration)
              .set("model", report.paths.model)
              .set("state", report.paths.state)
              .set("seconds", report.seconds));
  }

  void on_stop(const StopReport& stop) override {
    constexpr const char* kWhy[] = {"finished", "interrupted", "non_finite"};
    Json line = event("stop", stop.iteration);
    line.set("why", kWhy[static_cast<int>(stop.why)]);
    if (stop.loss) line.set("loss", *stop.loss);
    if (!stop.message.empty()) line.set("message", stop.message);
    if (!stop.record_keys.empty()) {
      Json keys = Json::array();
      for (const std::string& key : stop.record_keys) keys.push(key);
      line.set("record_keys", keys);
    }
    write(line);
  }

  void on_note(const std::string& warning) override {
    write(event("warning", start_.iteration).set("message", warning));
  }

 private:
  static Json event(const char* name, int64_t iteration) {
    return Json()
        .set("event", name)
        .set("iteration", iteration)
        .set("time", static_cast<int64_t>(std::time(nullptr)));
  }

  void write(const Json& line) { file_.write(line.str()); }

  LogFile file_;
  StartReport start_;
  Pace pace_;  // since the last line
};

}  // namespace

std::unique_ptr<Observer> json_observer(const std::string& path) {
  return std::make_unique<JsonLog>(path);
}

}  // namespace resnet
