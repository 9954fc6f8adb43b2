// Training runs with logs attached, for the tests of the logs.
#pragma once

#include <string>
#include <vector>

#include "train/train_run.h"

namespace resnet::testing {

// The small net with a second Accuracy layer.
inline std::string logged_net(const std::string& dir) {
  return small_train_net(dir) + layer("accuracy_top5", "Accuracy", "fc,label", "accuracy_top5",
                                      "accuracy_param { top_k: 5 }");
}

constexpr const char* kLoggedSolver =
    "base_lr: 0.05 lr_policy: 'multistep' gamma: 0.1 stepvalue: 7 momentum: 0.9 "
    "weight_decay: 0.001 max_iter: 10 display: 2 average_loss: 3 random_seed: 5 "
    "test_interval: 4 snapshot: 5 ";

// A run of kLoggedSolver in `dir`, which has write_small_cifar()'s files; begins from `state` unless that is
// empty. `make_logs` gives the observers under test. Returns what a Recorder saw.
template <class MakeLogs>
Recorder logged_run(const std::string& dir, const std::string& state, const MakeLogs& make_logs,
                    const std::string& changes = "") {
  TrainRun run(changed(kLoggedSolver, changes), logged_net(dir), dir + "/run");
  Recorder recorder;
  const std::vector<std::unique_ptr<Observer>> logs = make_logs(run.net);
  SolverSetup setup{run.param, dir + "/run", run.seed, {&recorder}, {}};
  for (const auto& log : logs) setup.observers.push_back(log.get());
  Solver solver(std::move(setup), run.net, run.train, &run.test);
  if (!state.empty()) solver.restore(read_solverstate(state));
  solver.run();
  return recorder;
}

inline std::vector<std::unique_ptr<Observer>> one(std::unique_ptr<Observer> log) {
  std::vector<std::unique_ptr<Observer>> logs;
  logs.push_back(std::move(log));
  return logs;
}

}  // namespace resnet::testing
