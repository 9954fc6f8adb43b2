// What the outside learns of a run. Observers get facts by value and cannot change a run; one that
// throws ends it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "resnet/io/snapshot.h"
#include "resnet/net/net.h"

namespace resnet {

struct StartReport {
  std::string net, device, lr_policy, solver_type;
  uint64_t seed = 0;
  int64_t iteration = 0;  // of the first step to come; not 0 when resumed
  int64_t max_iter = 0, display = 0, window = 0;
  int64_t batch = 0, iter_size = 1, shards = 1;
  int64_t train_records = 0, test_records = 0;
  int64_t parameters = 0;  // learnable values
  std::string resumed_from;
  // A test at `iteration` that the snapshot already knows of: it is not made again.
  std::optional<TestResult> test;
};

struct StepReport {
  int64_t iteration = 0;
  double rate = 0;
  double loss = 0;           // of this iteration
  double smoothed_loss = 0;  // over the last average_loss iterations
  std::vector<Metric> metrics;
  std::optional<double> error;           // of this iteration: share of images, 0 to 1
  int64_t images = 0;                    // of this iteration
  double epoch = 0;                      // images seen over records, this iteration included
  double seconds = 0, data_seconds = 0;  // of the iteration, and of it spent on data
};

struct TestReport {
  int64_t iteration = 0;
  int64_t images = 0, records = 0;
  std::vector<Metric> metrics;
  std::optional<double> error, error_top5;  // shares of images, 0 to 1
  bool best = false;
  double seconds = 0;
};

struct SnapshotReport {
  int64_t iteration = 0;
  SnapshotPaths paths;
  double seconds = 0;
  std::vector<std::string> notes;  // about older snapshots
};

struct StopReport {
  enum class Why { finished, interrupted, non_finite };
  Why why = Why::finished;
  int64_t iteration = 0;
  std::optional<double> loss;            // smoothed
  std::string message;                   // non_finite
  std::vector<std::string> record_keys;  // non_finite: of the batch
};

class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_start(const StartReport&) {}
  virtual void on_step(const StepReport&) {}  // after every iteration
  virtual void on_test_start(int64_t /*iteration*/) {}
  virtual void on_test(const TestReport&) {}
  virtual void on_snapshot_start(const SnapshotPaths&) {}
  virtual void on_snapshot(const SnapshotReport&) {}
  virtual void on_stop(const StopReport&) {}
  virtual void on_note(const std::string& /*warning*/) {}
};

// Lines in Caffe's wording, with epoch, images/s, data share and ETA appended. Each line goes to
// `line`, by default the log.
using LineSink = std::function<void(const std::string&)>;
std::unique_ptr<Observer> console_observer(LineSink line = {});

// One JSON object a line, appended to `path`; docs/formats.md lists the keys, docs/log.schema.json
// describes them to programs. A line that cannot be written is reported once in the log; the run
// goes on.
std::unique_ptr<Observer> json_observer(const std::string& path);

// What Caffe would log, appended to `path` as glog writes it, for scripts that read Caffe's logs
// (its tools/extra/parse_log.py). Nothing of ours is between. Failures as above.
std::unique_ptr<Observer> caffe_log_observer(const std::string& path);

// A new event file for TensorBoard in `directory` for each run, resumed or not; docs/formats.md
// lists the tags. `net`, which must outlive the observer, gives histograms of its weights at each
// test and snapshot; null for none. on_start throws DataError when the file cannot be created;
// later failures as above.
std::unique_ptr<Observer> tensorboard_observer(const std::string& directory,
                                               const Net* net = nullptr);

}  // namespace resnet
