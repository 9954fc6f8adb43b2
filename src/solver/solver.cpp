#include "resnet/solver/solver.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

#include "resnet/base/error.h"
#include "resnet/base/nearest.h"
#include "resnet/io/files.h"
#include "resnet/solver/learning_rate.h"
#include "resnet/solver/lint.h"

namespace resnet {
namespace {

// Iterations that may be enqueued at once: two such chunks are under way, and the learning rate of an
// iteration may follow what was measured a window before it.
int64_t longest_chunk(int64_t window) { return std::clamp<int64_t>(window / 2, 1, 64); }

std::string joined(const std::vector<std::string>& items, const char* separator) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : separator) + item;
  return text;
}

GraphOptions in_phase(Phase phase) {
  GraphOptions options;
  options.phase = phase;
  return options;
}

void check_choice(const char* field, const std::string& value,
                  const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  throw ConfigError(std::string("solver: ") + field + " \"" + value + "\" is not supported" +
                    suggestion(value, known, "; supported are " + joined(known, ", ")));
}

Update update_of(const SolverParameter& param, double rate) {
  Update update;
  update.rate = rate;
  update.momentum = param.momentum();
  update.weight_decay = param.weight_decay();
  update.l1 = param.regularization_type() == "L1";
  update.nesterov = param.type() == "Nesterov";
  update.clip_gradients = param.clip_gradients();
  update.iter_size = param.iter_size();
  return update;
}

// A net that was planned for another precision than the solver names would train in it silently.
void check_math(const SolverParameter& param, DType planned) {
  const DType wanted = param.math() == SolverParameter::BFLOAT16  ? DType::bf16
                       : param.math() == SolverParameter::FLOAT16 ? DType::f16
                                                                  : DType::f32;
  if (!param.has_math() || wanted == planned) return;
  throw ConfigError("solver: math is " + SolverParameter::Math_Name(param.math()) +
                    ", but the net computes in " + name_of(planned) + "; make them agree");
}

constexpr const char* kAddAccuracy =
    "; add an Accuracy layer to the net for that phase (without include { phase: .. } it takes "
    "part "
    "in both)";

}  // namespace

void check_solver(const SolverParameter& param) {
  check_schedule(param);
  check_choice("type", param.type(), {"SGD", "Nesterov"});
  check_choice("regularization_type", param.regularization_type(), {"L2", "L1"});
  const auto require = [](bool ok, const char* fact) {
    if (!ok) throw ConfigError(std::string("solver: ") + fact);
  };
  require(param.has_max_iter() && param.max_iter() >= 0, "max_iter is missing or negative; set it");
  require(param.iter_size() >= 1, "iter_size must be at least 1");
  require(param.average_loss() >= 1, "average_loss must be at least 1");
}

uint64_t choose_seed(const SolverParameter& param, const LoadedState* resumed) {
  const auto wanted = static_cast<uint64_t>(param.random_seed());
  if (resumed != nullptr && resumed->state.has_seed()) {
    const uint64_t saved = resumed->state.seed();
    if (param.random_seed() >= 0 && wanted != saved) {
      throw ConfigError(resumed->path + ": was made with seed " + std::to_string(saved) +
                        ", but the solver asks for " + std::to_string(wanted) +
                        "; give the same seed or start with --weights");
    }
    return saved;
  }
  if (param.random_seed() >= 0) return wanted;
  return std::random_device()();
}

Solver::Solver(SolverSetup setup, Net& net, Feed& train, Feed* test)
    : setup_(std::move(setup)), net_(net), train_(train), test_(test) {
  check_solver(setup_.param);
  if (train_.empty()) {
    throw ConfigError("the net has no Data layer for the phase TRAIN; add one");
  }
  if (test_ != nullptr && (test_->empty() || !net_.has_phase(TEST))) test_ = nullptr;
  train_accuracy_ = accuracy_output(net_.param(), in_phase(TRAIN), 1);
  if (test_) test_accuracy_ = accuracy_output(net_.param(), in_phase(TEST), 1);
  const SolverParameter& param = setup_.param;
  if (needs_training_error(param) && !train_accuracy_) {
    throw ConfigError(
        "solver: the schedule follows the training error, but the net has no "
        "accuracy in the phase TRAIN" +
        std::string(kAddAccuracy));
  }
  if ((needs_test_error(param) || param.keep_best()) && !test_accuracy_) {
    throw ConfigError(
        "solver: the test error is needed (plateau_on: TEST or keep_best), but the net "
        "has no accuracy in the phase TEST" +
        std::string(kAddAccuracy));
  }
  if ((needs_test_error(param) || param.keep_best()) && param.test_interval() <= 0) {
    throw ConfigError(
        "solver: the test error is needed (plateau_on: TEST or keep_best), but "
        "test_interval is 0; set it");
  }
  history_.window = window_of(param);
  run_id_ = config_digest() ^ (setup_.seed * 0x9E3779B97F4A7C15u);
}

Solver::Outcome Solver::run() {
  start();
  const SolverParameter& param = setup_.param;
  accounted_ = iter_;
  next_position_ = train_.position();
  Trainer trainer(net_, {.iter_size = param.iter_size(),
                         .nesterov = param.type() == "Nesterov",
                         .l1 = param.regularization_type() == "L1",
                         .clips = param.clip_gradients() >= 0,
                         .record = setup_.record,
                         .seed = setup_.seed,
                         .position = train_.position(),
                         .loss_scale = loss_scale_,
                         .loss_scale_steps = loss_scale_steps_,
                         .longest_chunk = longest_chunk(history_.window)});
  constexpr int64_t kMostHeldBytes = int64_t{1} << 30;
  held_ = false;
  if (setup_.hold_data && net_.backend().memory() == MemoryKind::device) {  // which works by itself
    if (auto data = train_.hold(kMostHeldBytes)) held_ = trainer.hold(std::move(*data));
  }
  const int64_t last = param.max_iter();
  while (iter_ < last) {
    test_if_due();
    if (!stop_asked()) run_chunk(trainer);
    const bool stop = stop_asked();
    const bool snapshot_now = stop || asked_ == Action::snapshot || snapshot_due();
    take(trainer, snapshot_now || test_due() || iter_ == last);
    if (snapshot_now) {
      if (last_snapshot_ != iter_) snapshot();
      asked_ = stop ? Action::stop : Action::none;
    }
    if (stop && iter_ < last) {
      notify(&Observer::on_stop, {StopReport::Why::interrupted, iter_, smoothed_loss(), "", {}});
      return Outcome::interrupted;
    }
  }
  if (param.snapshot_after_train() && last_snapshot_ != iter_) snapshot();
  test_if_due();
  notify(&Observer::on_stop, {StopReport::Why::finished, iter_, smoothed_loss(), "", {}});
  return Outcome::finished;
}

void Solver::start() {
  const SolverParameter& param = setup_.param;
  Session& session = net_.session(TRAIN);
  check_math(setup_.param, net_.program(session).options.math);
  train_.check_labels(net_.program(session).graph);
  const Lint found = lint(param, net_, train_, test_, setup_.prefix, iter_);
  if (!found.errors.empty()) throw ConfigError(joined(found.errors, "\n"));

  StartReport report;
  report.net = net_.param().name();
  report.device = net_.backend().name();
  report.lr_policy = param.lr_policy();
  report.solver_type = param.type();
  report.seed = setup_.seed;
  report.iteration = iter_;
  report.max_iter = param.max_iter();
  report.display = param.display();
  report.window = history_.window;
  report.batch = train_.batch();
  report.iter_size = param.iter_size();
  report.shards = net_.program(session).options.shards;
  report.train_records = train_.records();
  report.test_records = test_ ? test_->records() : 0;
  for (const Parameter& parameter : net_.parameters()) {
    if (parameter.learnable) report.parameters += parameter.shape.count();
  }
  report.resumed_from = resumed_from_;
  for (const TestResult& test : history_.tests) {
    if (test.iteration() == iter_) report.test = test;
  }
  notify(&Observer::on_start, report);
  for (const std::string& warning : found.warnings) notify(&Observer::on_note, warning);
}

// Iterations up to the next that something else follows.
int64_t Solver::chunk_length(const Trainer& trainer) const {
  const SolverParameter& param = setup_.param;
  int64_t length = std::min<int64_t>(trainer.chunk(), param.max_iter() - iter_);
  const auto stop_before = [&](int64_t every) {
    if (every > 0) length = std::min(length, every - iter_ % every);
  };
  if (test_ != nullptr) stop_before(param.test_interval());
  stop_before(param.snapshot());
  return length;
}

// Enqueues iterations, fewer when a signal comes.
void Solver::run_chunk(Trainer& trainer) {
  std::vector<Update> updates;
  for (int64_t i = 0; i < chunk_length(trainer); ++i) {
    rates_.push_back(learning_rate(setup_.param, iter_ + i, history_));
    updates.push_back(update_of(setup_.param, rates_.back()));
  }
  trainer.begin(updates);
  Session& session = net_.session(TRAIN);
  size_t done = 0;
  while (done < updates.size()) {
    const double before = train_.wait_seconds();
    trainer.iterate([&] { train_.fill(net_, session); });
    data_seconds_.push_back(train_.wait_seconds() - before);
    ++iter_;
    ++done;
    if (done < updates.size() && (stop_asked() || asked_ == Action::snapshot)) break;
  }
  trainer.end();
  if (held_) train_.seek(train_.position() + static_cast<int64_t>(done) * batch_images());
  rates_.resize(rates_.size() - (updates.size() - done));
}

// Accounts for what is done, all but the last chunk, so that the device has work meanwhile, or all.
void Solver::take(Trainer& trainer, bool all) {
  const int most_waiting = all || trainer.chunk() == 1 ? 0 : 1;
  while (trainer.waiting() > most_waiting) account(*trainer.take(true));
}

void Solver::account(const Trainer::Chunk& chunk) {
  loss_scale_ = chunk.loss_scale;
  loss_scale_steps_ = chunk.loss_scale_steps;
  const auto iter_size = static_cast<size_t>(setup_.param.iter_size());
  for (size_t i = 0; i < static_cast<size_t>(chunk.iterations); ++i) {
    StepReport report;
    report.iteration = accounted_;
    report.rate = rates_.front();
    report.seconds = chunk.seconds / static_cast<double>(chunk.iterations);
    report.data_seconds = std::min(data_seconds_.front(), report.seconds);
    account_iteration(std::span(chunk.batches).subspan(i * iter_size, iter_size), &report);
    rates_.pop_front();
    data_seconds_.pop_front();
    next_position_ += batch_images();
    ++accounted_;
    report.epoch = static_cast<double>(next_position_) / static_cast<double>(train_.records());
    notify(&Observer::on_step, report);
  }
}

void Solver::account_iteration(std::span<const std::vector<Metric>> batches, StepReport* report) {
  MetricAverage average;
  double loss = 0, wrong = 0, counted = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    const double batch_loss = total_loss(batches[i]);
    if (!std::isfinite(batch_loss)) fail_non_finite(static_cast<int64_t>(i), batch_loss);
    loss += batch_loss;
    average.add(batches[i]);
    for (const Metric& metric : batches[i]) {
      if (metric.name != train_accuracy_) continue;
      wrong += std::round((1 - metric.value) * metric.weight);
      counted += metric.weight;
    }
  }
  loss /= static_cast<double>(batches.size());
  history_.add(loss, wrong, std::llround(counted));
  smooth(loss);
  report->loss = loss;
  report->smoothed_loss = *smoothed_loss();
  report->metrics = average.result();
  report->error = error_of(report->metrics, train_accuracy_);
  report->images = batch_images();
}

// A batch of the first iteration that is not accounted made the loss infinite or NaN.
void Solver::fail_non_finite(int64_t batch, double loss) {
  constexpr size_t kShownKeys = 8;
  Session& session = net_.session(TRAIN);
  const int64_t position = next_position_ + batch * train_.batch();
  if (train_.position() != position + train_.batch()) {  // later batches were taken since
    train_.seek(position);
    train_.fill(net_, session);
  }
  StopReport report{StopReport::Why::non_finite, accounted_, smoothed_loss(), "",
                    train_.last_keys()};
  const std::string where = net_.first_non_finite(session);
  std::vector<std::string> shown = report.record_keys;
  if (shown.size() > kShownKeys) shown.resize(kShownKeys);
  std::string keys = joined(shown, ", ");
  if (shown.size() < report.record_keys.size()) {
    keys += ", .. (all " + std::to_string(report.record_keys.size()) + " are in the JSON log)";
  }
  report.message = "iteration " + std::to_string(accounted_) + ": the loss is " +
                   (std::isnan(loss) ? "NaN" : "infinite") +
                   (where.empty() ? "" : ", first in " + where) + "; records " + keys +
                   "; no update was made. Lower base_lr or add a warm-up (Caffe would go on with "
                   "loss = 87.3365)";
  notify(&Observer::on_stop, report);
  throw NonFiniteError(report.message);
}

bool Solver::test_due() const {
  const SolverParameter& param = setup_.param;
  if (test_ == nullptr || param.test_interval() <= 0) return false;
  if (iter_ % param.test_interval() != 0 || history_.tested_at(iter_)) return false;
  return iter_ != 0 || param.test_initialization();
}

void Solver::test_if_due() {
  const SolverParameter& param = setup_.param;
  if (!test_due()) return;
  for (Observer* observer : setup_.observers) observer->on_test_start(iter_);
  EvalOptions options;
  options.max_batches = param.test_iter_size() > 0 ? param.test_iter(0) : 0;
  options.stop = [this] { return stop_asked(); };
  const EvalResult result = evaluate(net_, *test_, options);
  if (result.complete) record_test(result);
}

void Solver::record_test(const EvalResult& result) {
  TestReport report;
  report.iteration = iter_;
  report.images = result.images;
  report.records = test_->records();
  report.metrics = result.metrics;
  report.error = error_of(result.metrics, test_accuracy_);
  report.error_top5 = error_of(result.metrics, accuracy_output(net_.param(), in_phase(TEST), 5));
  report.seconds = result.seconds;
  report.best = report.error && std::isfinite(total_loss(result.metrics)) &&
                (!best_error_ || *report.error < *best_error_);

  TestResult saved;
  saved.set_iteration(iter_);
  saved.set_test_net(0);
  if (report.error) saved.set_error(*report.error);
  saved.set_loss(total_loss(result.metrics));
  saved.set_images(result.images);
  history_.tests.push_back(saved);
  notify(&Observer::on_test, report);
  if (!report.best) return;
  best_error_ = report.error;
  best_iter_ = last_snapshot_ == iter_ || setup_.param.keep_best() ? iter_ : -1;
  if (setup_.param.keep_best() && last_snapshot_ != iter_) snapshot();
}

bool Solver::snapshot_due() const {
  const int64_t every = setup_.param.snapshot();
  return every > 0 && iter_ > 0 && iter_ % every == 0;
}

void Solver::smooth(double loss) {
  recent_loss_.push_back(loss);
  const auto most = static_cast<size_t>(setup_.param.average_loss());
  if (recent_loss_.size() > most) {
    recent_loss_.erase(recent_loss_.begin(),
                       recent_loss_.end() - static_cast<std::ptrdiff_t>(most));
  }
}

std::optional<double> Solver::smoothed_loss() const {
  if (recent_loss_.empty()) return std::nullopt;
  return std::accumulate(recent_loss_.begin(), recent_loss_.end(), 0.0) /
         static_cast<double>(recent_loss_.size());
}

bool Solver::stop_asked() {
  if (asked_ == Action::stop || !setup_.poll) return asked_ == Action::stop;
  const Action action = setup_.poll();
  if (action != Action::none) asked_ = action;
  return asked_ == Action::stop;
}

void Solver::dry_run() {
  start();
  accounted_ = iter_;
  next_position_ = train_.position();
  Session& session = net_.session(TRAIN);
  train_.fill(net_, session);
  const double loss = total_loss(net_.forward_backward(session));
  if (!std::isfinite(loss)) fail_non_finite(0, loss);
  if (test_) {
    EvalOptions options;
    options.max_batches = 1;
    evaluate(net_, *test_, options);
  }
  const std::string prefix = setup_.prefix + "_dry_run";
  SolverState saved = state();
  const SnapshotPaths paths = write_snapshot(prefix, model(), &saved, run_id_);
  remove_file(paths.state);
  remove_file(paths.model);
}

}  // namespace resnet
