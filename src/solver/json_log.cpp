#include <glog/logging.h>

#include <cmath>
#include <ctime>
#include <fstream>
#include <sstream>

#include "resnet/solver/observer.h"

namespace resnet {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (code < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", code);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string number(double value) {
  if (!std::isfinite(value)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

// {"key": value, ...} in the order of the calls.
class Object {
 public:
  Object& add(const char* key, const std::string& text) { return raw(key, quoted(text)); }
  Object& add(const char* key, double value) { return raw(key, number(value)); }
  Object& add(const char* key, int64_t value) { return raw(key, std::to_string(value)); }
  Object& add(const char* key, uint64_t value) { return raw(key, std::to_string(value)); }
  Object& add(const char* key, bool value) { return raw(key, value ? "true" : "false"); }
  Object& add(const char* key, const std::vector<std::string>& texts) {
    std::string list;
    for (const std::string& text : texts) list += (list.empty() ? "" : ", ") + quoted(text);
    return raw(key, "[" + list + "]");
  }
  Object& add(const char* key, const std::vector<Metric>& metrics) {
    Object values;
    for (const Metric& metric : metrics) values.raw(metric.name.c_str(), number(metric.value));
    return raw(key, values.str());
  }
  std::string str() const { return "{" + body_ + "}"; }

 private:
  Object& raw(const char* key, const std::string& value) {
    body_ += (body_.empty() ? "" : ", ") + quoted(key) + ": " + value;
    return *this;
  }
  std::string body_;
};

class JsonLog : public Observer {
 public:
  explicit JsonLog(const std::string& path) : path_(path), out_(path, std::ios::app) {}

  void on_start(const StartReport& start) override {
    start_ = start;
    Object line = event("start", start.iteration);
    line.add("format", int64_t{1}).add("net", start.net).add("device", start.device);
    line.add("solver_type", start.solver_type).add("lr_policy", start.lr_policy);
    line.add("seed", start.seed).add("max_iter", start.max_iter).add("window", start.window);
    line.add("batch", start.batch).add("iter_size", start.iter_size).add("shards", start.shards);
    line.add("train_records", start.train_records).add("test_records", start.test_records);
    line.add("parameters", start.parameters).add("resumed_from", start.resumed_from);
    write(line);
  }

  void on_step(const StepReport& step) override {
    seconds_ += step.seconds;
    data_seconds_ += step.data_seconds;
    images_ += step.images;
    const int64_t every = start_.display > 0 ? start_.display : start_.window;
    if (every <= 0 || step.iteration % every != 0) return;
    Object line = event("step", step.iteration);
    line.add("epoch", step.epoch).add("lr", step.rate).add("loss", step.smoothed_loss);
    line.add("iteration_loss", step.loss).add("outputs", step.metrics);
    if (seconds_ > 0) {
      line.add("images_per_s", static_cast<double>(images_) / seconds_);
      line.add("data_wait_share", data_seconds_ / seconds_);
    }
    write(line);
    seconds_ = data_seconds_ = 0;
    images_ = 0;
  }

  void on_test(const TestReport& test) override {
    Object line = event("test", test.iteration);
    line.add("images", test.images).add("outputs", test.metrics);
    if (test.error) line.add("test_error_top1", 100 * *test.error);
    line.add("best", test.best).add("seconds", test.seconds);
    write(line);
  }

  void on_snapshot(const SnapshotReport& report) override {
    write(event("snapshot", report.iteration)
              .add("model", report.paths.model)
              .add("state", report.paths.state)
              .add("seconds", report.seconds));
  }

  void on_stop(const StopReport& stop) override {
    constexpr const char* kWhy[] = {"finished", "interrupted", "non_finite"};
    Object line = event("stop", stop.iteration);
    line.add("why", std::string(kWhy[static_cast<int>(stop.why)]));
    if (stop.loss) line.add("loss", *stop.loss);
    if (!stop.message.empty()) line.add("message", stop.message);
    if (!stop.record_keys.empty()) line.add("record_keys", stop.record_keys);
    write(line);
  }

  void on_note(const std::string& warning) override {
    write(event("warning", start_.iteration).add("message", warning));
  }

 private:
  static Object event(const char* name, int64_t iteration) {
    Object line;
    line.add("event", std::string(name)).add("iteration", iteration);
    line.add("time", static_cast<int64_t>(std::time(nullptr)));
    return line;
  }

  void write(const Object& line) {
    out_ << line.str() << std::endl;  // a killed run keeps what it logged
    if (out_ || failed_) return;
    failed_ = true;
    LOG(WARNING) << path_ << ": cannot be written; the run goes on without it";
  }

  std::string path_;
  std::ofstream out_;
  bool failed_ = false;
  StartReport start_;
  int64_t images_ = 0;  // since the last line
  double seconds_ = 0, data_seconds_ = 0;
};

}  // namespace

std::unique_ptr<Observer> json_observer(const std::string& path) {
  return std::make_unique<JsonLog>(path);
}

}  // namespace resnet
