// SIGINT, SIGTERM and SIGUSR1 ask a run to write a snapshot and stop at the next iteration
// boundary; a second one ends the process at once, as if it had not been caught. SIGHUP asks for a
// snapshot only.
#pragma once

#include <csignal>

namespace resnet {

enum class Action { none, snapshot, stop };

// Handles the signals while it lives. One at a time.
class SignalGuard {
 public:
  SignalGuard();
  ~SignalGuard();
  SignalGuard(const SignalGuard&) = delete;
  SignalGuard& operator=(const SignalGuard&) = delete;

  // What was asked for. `stop` stays; `snapshot` is forgotten once taken.
  Action take();

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
  struct sigaction previous_[4];
};

}  // namespace resnet
