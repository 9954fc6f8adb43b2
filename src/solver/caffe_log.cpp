// A log as Caffe's program leaves it: glog's prefix in the form that Caffe's scripts expect (later versions
// of glog write the year, too), and positions in Caffe's sources, because scripts search for the files' names.
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <ctime>

#include "resnet/solver/observer.h"
#include "solver/caffe_lines.h"
#include "solver/log_file.h"
#include "solver/log_values.h"

namespace resnet {
namespace {

// Where BVLC Caffe (2020) says these things.
constexpr const char* kSolving = "solver.cpp:289";
constexpr const char* kPolicy = "solver.cpp:290";
constexpr const char* kRestoring = "solver.cpp:296";
constexpr const char* kIteration = "solver.cpp:239";
constexpr const char* kTrainOutput = "solver.cpp:258";
constexpr const char* kRate = "sgd_solver.cpp:112";
constexpr const char* kTesting = "solver.cpp:347";
constexpr const char* kTestOutput = "solver.cpp:414";
constexpr const char* kModel = "solver.cpp:464";
constexpr const char* kState = "sgd_solver.cpp:284";
constexpr const char* kEnd = "solver.cpp:332";

// "I1128 16:20:00.123456 12345 solver.cpp:239] ", in local time.
std::string prefix(char severity, const char* where) {
  using std::chrono::microseconds;
  const auto now =
      std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch());
  constexpr int64_t kMicroseconds = 1000000;
  const auto seconds = static_cast<std::time_t>(now.count() / kMicroseconds);
  std::tm local = {};
  localtime_r(&seconds, &local);
  char day_and_time[32], text[96];
  std::strftime(day_and_time, sizeof day_and_time, "%m%d %H:%M:%S", &local);
  std::snprintf(text, sizeof text, "%c%s.%06d %5ld %s] ", severity, day_and_time,
                static_cast<int>(now.count() % kMicroseconds),
                static_cast<long>(::syscall(SYS_gettid)), where);
  return text;
}

class CaffeLog : public Observer {
 public:
  explicit CaffeLog(const std::string& path) : file_(path) {}

  void on_start(const StartReport& start) override {
    start_ = start;
    since_ = start.iteration;
    const std::vector<std::string> lines = caffe::solving_lines(start);
    write(kSolving, lines[0]);
    write(kPolicy, lines[1]);
    if (!start.resumed_from.empty()) {
      write(kRestoring, "Restoring previous solver status from " + start.resumed_from);
    }
  }

  void on_step(const StepReport& step) override {
    pace_.add(step);
    if (!is_logged(start_, step.iteration)) return;
    const int64_t every = start_.display > 0 ? start_.display : start_.window;
    write(kIteration, caffe::iteration_line(step, step.iteration - since_, pace_.seconds, every));
    for (const std::string& line : caffe::output_lines("Train", step.metrics)) {
      write(kTrainOutput, line);
    }
    write(kRate, caffe::rate_line(step));
    since_ = step.iteration;
    pace_ = {};
  }

  void on_test_start(int64_t iteration) override {
    write(kTesting, caffe::testing_line(iteration));
  }

  void on_test(const TestReport& test) override {
    for (const std::string& line : caffe::output_lines("Test", test.metrics)) {
      write(kTestOutput, line);
    }
  }

  void on_snapshot_start(const SnapshotPaths& paths) override {
    write(kModel, caffe::model_line(paths));
    write(kState, caffe::state_line(paths));
  }

  void on_stop(const StopReport& stop) override {
    for (const std::string& line : caffe::stop_lines(stop, start_.display)) write(kEnd, line);
    if (!stop.message.empty()) file_.write(prefix('E', kEnd) + stop.message);
  }

 private:
  void write(const char* where, const std::string& text) { file_.write(prefix('I', where) + text); }

  LogFile file_;
  StartReport start_;
  int64_t since_ = 0;  // iteration of the last line about a step
  Pace pace_;          // since then
};

}  // namespace

std::unique_ptr<Observer> caffe_log_observer(const std::string& path) {
  return std::make_unique<CaffeLog>(path);
}

}  // namespace resnet
