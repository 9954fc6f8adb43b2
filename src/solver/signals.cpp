#include "resnet/solver/signals.h"

#include <cstddef>
#include <iterator>

namespace resnet {
namespace {

volatile std::sig_atomic_t stop_asked = 0, snapshot_asked = 0;

void on_signal(int signal) {
  if (signal == SIGHUP) {
    snapshot_asked = 1;
  } else if (stop_asked) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  } else {
    stop_asked = 1;
  }
}

}  // namespace

SignalGuard::SignalGuard() {
  stop_asked = 0;
  snapshot_asked = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &previous_[i]);
}

SignalGuard::~SignalGuard() {
  for (size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &previous_[i], nullptr);
}

Action SignalGuard::take() {
  if (stop_asked) return Action::stop;
  if (!snapshot_asked) return Action::none;
  snapshot_asked = 0;
  return Action::snapshot;
}

}  // namespace resnet
