// What a training run logged, as curves.
#pragma once

#include <string>
#include <vector>

namespace resnet::cli {

struct CurvePoint {
  double iteration = 0;
  double value = 0;  // not finite: nothing to show
};
using Curve = std::vector<CurvePoint>;  // iterations ascend

// Whether any of its values is finite.
bool has_value(const Curve& curve);

struct RunLog {
  std::string path;
  std::string net, device;      // "": not logged
  double batch = 0, epoch = 0;  // images of an iteration, and epochs in the end; 0: not logged
  Curve loss, test_loss, rate;
  Curve train_error, test_error;   // percent
  std::vector<std::string> notes;  // for the user

  double last_iteration() const;
};

// Reads the .log.jsonl of `resnet train`, or a log of Caffe's or with Caffe's wording. What a resumed run
// logged replaces what was logged beyond the point of resumption before. A line that a killed run left
// unfinished is skipped with a note. Throws DataError, with the line, for what is no such log, and when it
// holds no step and no test.
RunLog read_run_log(const std::string& path);

// Parts of read_run_log().
void read_json_log(const std::string& text, RunLog* run);
void read_caffe_log(const std::string& text, RunLog* run);

// From here on comes what a run that goes on at `iteration` logs: forgets the steps from it on, and the tests
// after it.
void resume_at(double iteration, RunLog* run);
// Adds a point, or replaces the last one if that has the same iteration.
void add_point(double iteration, double value, Curve* curve);

}  // namespace resnet::cli
