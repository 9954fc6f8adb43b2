// Stochastic gradient descent exactly as Caffe's, with tests, snapshots and resume.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resnet/eval/evaluate.h"
#include "resnet/eval/feed.h"
#include "resnet/io/snapshot.h"
#include "resnet/net/net.h"
#include "resnet/net/trainer.h"
#include "resnet/solver/history.h"
#include "resnet/solver/observer.h"
#include "resnet/solver/signals.h"

namespace resnet {

struct SolverSetup {
  SolverParameter param;  // as in force, flags applied
  std::string prefix;     // of snapshots
  uint64_t seed = 0;      // that of the feeds, saved in snapshots
  std::vector<Observer*> observers;
  std::function<Action()>
      poll;               // asked at iteration boundaries and between test batches; may be empty
  bool hold_data = true;  // let a device hold data sets of up to 1 GiB and draw the batches itself
  bool record = true;     // let a device repeat recorded iterations
};

// The seed of a run: that of the snapshot which it resumes, else random_seed, else one from the
// system. Throws ConfigError when the solver and the snapshot name different ones.
uint64_t choose_seed(const SolverParameter& param, const LoadedState* resumed);

// Throws ConfigError for settings that no run can have: an unknown policy, type or regularization,
// max_iter missing, ...
void check_solver(const SolverParameter& param);

// Iteration i: test if due, take iter_size batches, update, snapshot if due. A run depends on the
// net, the data, the seed and SolverParameter only; observers see it. Net and feeds must outlive
// the Solver.
class Solver {
 public:
  enum class Outcome { finished, interrupted };

  // `test` may be null or empty. Throws ConfigError.
  Solver(SolverSetup setup, Net& net, Feed& train, Feed* test);

  // Takes over weights, momenta, statistics, iteration, data positions, history and best of a
  // snapshot. Throws ConfigError and DataError, naming what does not fit; returns notes for the
  // log.
  std::vector<std::string> restore(const LoadedState& loaded);

  // Trains up to max_iter, or until poll() says stop: then the state is in a snapshot. Throws
  // NonFiniteError before any update by a loss that is not finite.
  Outcome run();

  // One training batch without update, one test batch, one snapshot that is removed again.
  void dry_run();

  SnapshotPaths snapshot();
  int64_t iteration() const { return iter_; }
  bool data_is_held() const { return held_; }  // by the device, in the last run()
  const History& history() const { return history_; }

 private:
  void start();
  void run_chunk(Trainer& trainer);
  int64_t chunk_length(const Trainer& trainer) const;
  void take(Trainer& trainer, bool all);
  void account(const Trainer::Chunk& chunk);
  void account_iteration(std::span<const std::vector<Metric>> batches, StepReport* report);
  bool test_due() const;
  void test_if_due();
  void record_test(const EvalResult& result);
  bool snapshot_due() const;
  void smooth(double loss);
  std::optional<double> smoothed_loss() const;
  [[noreturn]] void fail_non_finite(int64_t batch, double loss);
  NetParameter model() const;
  SolverState state();
  void check_resumable(const LoadedState& loaded);
  std::vector<std::string> kernel_choices();
  uint64_t config_digest() const;
  bool stop_asked();
  int64_t batch_images() const { return train_.batch() * setup_.param.iter_size(); }
  template <class Report>
  void notify(void (Observer::*event)(const Report&), const Report& report) {
    for (Observer* observer : setup_.observers) (observer->*event)(report);
  }

  SolverSetup setup_;
  Net& net_;
  Feed& train_;
  Feed* test_;                                                 // null without tests
  std::optional<std::string> train_accuracy_, test_accuracy_;  // names of top-1 outputs
  History history_;
  int64_t iter_ =
      0;  // iterations enqueued; reports, history and snapshots know of all when none wait
  int64_t accounted_ = 0;  // iterations whose results are in
  // Of the iterations that are not accounted: where the first of them began in the stream, their rates
  // and the seconds they waited for data.
  int64_t next_position_ = 0;
  bool held_ = false;                             // the device draws the batches
  double loss_scale_ = 0, loss_scale_steps_ = 0;  // math FLOAT16; scale 0: the first one
  std::deque<double> rates_, data_seconds_;
  int64_t last_snapshot_ = -1;
  uint64_t run_id_ = 0;
  std::vector<double> recent_loss_;  // at most average_loss, oldest first
  std::optional<double> best_error_;
  int64_t best_iter_ = -1;  // -1: no snapshot has it
  Action asked_ = Action::none;
  std::string resumed_from_;
};

}  // namespace resnet
