// The .log.jsonl of `resnet train`: docs/formats.md, "Log of a run".
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>

#include "markup.h"
#include "resnet/base/error.h"
#include "run_log.h"

namespace resnet::cli {
namespace {

using google::protobuf::Struct;
using Members = google::protobuf::Map<std::string, google::protobuf::Value>;

constexpr double kFormat = 1;

bool has(const Members& line, const char* key) { return line.find(key) != line.end(); }

// NAN for null.
double number_or(const Members& line, const char* key, double otherwise) {
  const auto it = line.find(key);
  if (it == line.end()) return otherwise;
  return it->second.has_number_value() ? it->second.number_value() : NAN;
}

std::string text_of(const Members& line, const char* key) {
  const auto it = line.find(key);
  return it == line.end() ? "" : it->second.string_value();
}

// In logs from before steps had train_error_top1: the first output that is called an accuracy, but not of
// the top 5. NAN without one.
double guessed_error(const Members& line) {
  const auto it = line.find("outputs");
  if (it == line.end()) return NAN;
  for (const auto& [name, value] : it->second.struct_value().fields()) {
    if (name.find("accuracy") != std::string::npos && name.find("top5") == std::string::npos &&
        value.has_number_value()) {
      return 100 * (1 - value.number_value());
    }
  }
  return NAN;
}

bool parse(const std::string& text, Struct* line) {
  return google::protobuf::util::JsonStringToMessage(text, line).ok();
}

class Reader {
 public:
  explicit Reader(RunLog* run) : run_(*run) {}

  void take(const std::string& text) {
    ++line_;
    if (text.find_first_not_of(" \t\r") == std::string::npos) return;
    Struct line;
    if (parse(text, &line)) {
      take_event(line.fields());
      return;
    }
    check_damage();  // of an earlier line
    damaged_ = line_;
    // Earlier versions went on in the middle of what a killed run had left.
    const size_t start = text.rfind("{\"event\":\"start\"");
    if (start != std::string::npos && parse(text.substr(start), &line)) take_event(line.fields());
  }

  void finish() {
    if (damaged_ == 0) return;
    run_.notes.push_back(place(damaged_) +
                         "is cut short, as a run that is killed leaves it: left out");
  }

 private:
  std::string place(int line) const { return run_.path + ":" + std::to_string(line) + ": "; }

  // A damaged line that was not the end of its run's log.
  void check_damage() const {
    if (damaged_ == 0) return;
    throw DataError(place(damaged_) +
                    "is not a JSON object; `resnet train` does not write such lines: remove it");
  }

  void take_event(const Members& line) {
    const std::string event = text_of(line, "event");
    const double iteration = number_or(line, "iteration", NAN);
    if (event.empty() || !std::isfinite(iteration)) {
      throw DataError(place(line_) +
                      "has no event or no iteration; give the .log.jsonl of a training run");
    }
    if (event == "start") {
      finish();
      damaged_ = 0;
      start(line, iteration);
      return;
    }
    check_damage();
    if (event == "step") {
      step(line, iteration);
    } else if (event == "test") {
      if (has(line, "test_error_top1")) {
        add_point(iteration, number_or(line, "test_error_top1", NAN), &run_.test_error);
      }
      if (has(line, "loss")) add_point(iteration, number_or(line, "loss", NAN), &run_.test_loss);
    } else if (event == "stop" && has(line, "loss")) {  // the steps since the last logged one
      if (!run_.loss.empty() && iteration > run_.loss.back().iteration) {
        add_point(iteration, number_or(line, "loss", NAN), &run_.loss);
      }
    }
  }

  void start(const Members& line, double iteration) {
    const double format = number_or(line, "format", kFormat);
    if (!(format <= kFormat)) {
      throw DataError(place(line_) + "has format " + fixed(format, 0) +
                      ", which is newer than this program; use the one that wrote it");
    }
    run_.net = text_of(line, "net");
    run_.device = text_of(line, "device");
    run_.batch = number_or(line, "batch", 0) * number_or(line, "iter_size", 1);
    resume_at(iteration, &run_);
  }

  void step(const Members& line, double iteration) {
    if (!run_.rate.empty() && iteration <= run_.rate.back().iteration) {
      throw DataError(place(line_) + "iteration " + fixed(iteration, 0) +
                      " comes after a later one without a start between; two runs wrote to this "
                      "file at once: separate them");
    }
    add_point(iteration, number_or(line, "loss", NAN), &run_.loss);
    add_point(iteration, number_or(line, "lr", NAN), &run_.rate);
    const double error = number_or(line, "train_error_top1", guessed_error(line));
    if (has(line, "train_error_top1") || std::isfinite(error)) {
      add_point(iteration, error, &run_.train_error);
    }
    run_.epoch = number_or(line, "epoch", run_.epoch);
  }

  RunLog& run_;
  int line_ = 0, damaged_ = 0;  // from 1; 0: none
};

}  // namespace

void read_json_log(const std::string& text, RunLog* run) {
  Reader reader(run);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    reader.take(text.substr(begin, end - begin));
    begin = end + 1;
  }
  reader.finish();
}

}  // namespace resnet::cli
