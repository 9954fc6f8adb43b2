// A progress bar on the terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace resnet::cli {

// Shows "what [####....] 40 % 12 s left" on standard error while work goes on for longer than a second:
// on terminals only, not with --quiet or NO_COLOR, and gone when the work is done.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(int64_t done, int64_t total);

 private:
  using Clock = std::chrono::steady_clock;
  std::string what_;
  bool enabled_, visible_ = false;
  Clock::time_point start_, last_;
};

}  // namespace resnet::cli
