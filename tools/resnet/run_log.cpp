#include "run_log.h"

#include <algorithm>
#include <cmath>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::cli {

bool has_value(const Curve& curve) {
  return std::any_of(curve.begin(), curve.end(),
                     [](const CurvePoint& p) { return std::isfinite(p.value); });
}

double RunLog::last_iteration() const {
  double last = 0;
  for (const Curve* curve : {&loss, &test_loss, &rate, &train_error, &test_error}) {
    if (!curve->empty()) last = std::max(last, curve->back().iteration);
  }
  return last;
}

void resume_at(double iteration, RunLog* run) {
  for (Curve* curve : {&run->loss, &run->rate, &run->train_error}) {
    std::erase_if(*curve, [&](const CurvePoint& p) { return p.iteration >= iteration; });
  }
  // A test at the iteration of the snapshot is not made again when it came before the snapshot.
  for (Curve* curve : {&run->test_loss, &run->test_error}) {
    std::erase_if(*curve, [&](const CurvePoint& p) { return p.iteration > iteration; });
  }
}

void add_point(double iteration, double value, Curve* curve) {
  if (!curve->empty() && curve->back().iteration == iteration) {
    curve->back().value = value;
  } else {
    curve->push_back({iteration, value});
  }
}

RunLog read_run_log(const std::string& path) {
  RunLog run;
  run.path = path;
  const std::string text = read_file(path);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) {
    throw DataError(path + ": is empty; give the .log.jsonl of a training run");
  }
  if (text[first] == '{') {
    read_json_log(text, &run);
  } else {
    read_caffe_log(text, &run);
  }
  if (run.loss.empty() && run.test_error.empty() && run.test_loss.empty()) {
    throw DataError(path +
                    ": holds no training step and no test; nothing to draw. Give the .log.jsonl of "
                    "a training run, or Caffe's log");
  }
  return run;
}

}  // namespace resnet::cli
