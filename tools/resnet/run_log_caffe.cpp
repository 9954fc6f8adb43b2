// Logs in Caffe's wording: its own, those of `resnet train --caffe_log` and what `resnet train` prints.
#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "run_log.h"

namespace resnet::cli {
namespace {

// The number after `before`, if both are there. "nan" and the like give NAN.
std::optional<double> number_after(std::string_view line, std::string_view before) {
  const size_t at = line.find(before);
  if (at == std::string_view::npos) return std::nullopt;
  const char* const begin = line.data() + at + before.size();
  double value = NAN;
  const auto result = std::from_chars(begin, line.data() + line.size(), value);
  return result.ptr == begin ? std::nullopt : std::optional(value);
}

// "Test net output #0: accuracy = 0.7".
struct NetOutput {
  std::string_view name;
  double value = NAN;
  std::optional<double> loss;  // weighed, of a loss
};

std::optional<NetOutput> net_output(std::string_view line, std::string_view phase) {
  size_t at = line.find(phase);
  if (at == std::string_view::npos) return std::nullopt;
  at = line.find(": ", at);
  const size_t equals = line.find(" = ", at);
  if (at == std::string_view::npos || equals == std::string_view::npos) return std::nullopt;
  NetOutput output;
  output.name = line.substr(at + 2, equals - at - 2);
  output.value = number_after(line.substr(equals), " = ").value_or(NAN);
  const size_t weighed = line.find("(* ", equals);
  if (weighed != std::string_view::npos) output.loss = number_after(line.substr(weighed), " = ");
  return output;
}

bool is_top1_accuracy(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto holds = [&](const char* part) { return lower.find(part) != std::string::npos; };
  const bool top5 = holds("5") && (holds("top") || holds("accuracy"));
  return (holds("accuracy") || holds("top1") || holds("top-1")) && !top5;
}

class Reader {
 public:
  explicit Reader(RunLog* run) : run_(*run) {}

  void take(std::string_view line) {
    if (const size_t at = line.find("] Solving "); at != std::string_view::npos) {
      run_.net = line.substr(at + std::string_view("] Solving ").size());
      starts_ = true;
    }
    if (const auto iteration = number_after(line, "] Iteration ")) begin(*iteration);
    if (iteration_ < 0) return;
    if (line.find("] Iteration ") != std::string_view::npos) {
      if (const auto loss = number_after(line, ", loss = ")) {
        add_point(iteration_, *loss, &run_.loss);
      }
      if (const auto rate = number_after(line, ", lr = ")) {
        add_point(iteration_, *rate, &run_.rate);
      }
    } else if (const auto train = net_output(line, "Train net output #")) {
      if (is_top1_accuracy(train->name) && !has_point(run_.train_error)) {
        add_point(iteration_, 100 * (1 - train->value), &run_.train_error);
      }
    } else if (const auto test = net_output(line, "Test net output #")) {
      if (is_top1_accuracy(test->name) && !tested_) {
        add_point(iteration_, 100 * (1 - test->value), &run_.test_error);
        tested_ = true;
      }
      if (test->loss) {
        test_loss_ += *test->loss;
        add_point(iteration_, test_loss_, &run_.test_loss);
      }
    }
  }

 private:
  // A line about this iteration. A run that goes on begins earlier than the one before ended.
  void begin(double iteration) {
    if (starts_ || iteration < iteration_) resume_at(iteration, &run_);
    starts_ = false;
    iteration_ = iteration;
    tested_ = false;
    test_loss_ = 0;
  }

  bool has_point(const Curve& curve) const {
    return !curve.empty() && curve.back().iteration == iteration_;
  }

  RunLog& run_;
  double iteration_ = -1;  // before the first line about one
  bool starts_ = false;
  bool tested_ = false;   // the test of this iteration has given its error
  double test_loss_ = 0;  // sum over its losses so far
};

}  // namespace

void read_caffe_log(const std::string& text, RunLog* run) {
  Reader reader(run);
  const std::string_view all = text;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    reader.take(all.substr(begin, end - begin));
    begin = end + 1;
  }
}

}  // namespace resnet::cli
