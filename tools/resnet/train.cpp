// `resnet train`: trains the net of a solver.
#include <glog/logging.h>

#include <iostream>
#include <limits>
#include <optional>

#include "cli.h"
#include "flags.h"
#include "problems.h"
#include "report.h"
#include "resnet/base/json.h"
#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "resnet/solver/solver.h"
#include "resnet/solver/solver_files.h"
#include "run_figure.h"
#include "setup.h"

DEFINE_string(
    snapshot, "",
    "FILE|auto: resume from a .solverstate; auto: the newest one under the solver's prefix "
    "that is whole, or the start if there is none");
DEFINE_int32(max_iter, 0, "N: iterations; replaces the solver's");
DEFINE_int32(shards, 1,
             "K: compute each batch as K equal parts, whose sums are added in a fixed order");
DEFINE_string(curve, "",
              "FILE.png|FILE.svg: at the end, draw loss and error over the iterations; `resnet "
              "plot` draws them at any time");
DEFINE_string(tensorboard, "", "DIR: also write event files for TensorBoard there");
DEFINE_bool(tensorboard_histograms, false,
            "with --tensorboard: histograms of every weight at each test and snapshot");
DEFINE_string(caffe_log, "",
              "FILE: also append Caffe's log lines to it, for scripts such as parse_log.py");
DEFINE_int64(skip_bad, 0,
             "N: leave out up to N records that cannot be decoded, taking the image of the next "
             "position; more are an error");
DEFINE_bool(dry_run, false,
            "plan, run one batch, one test batch and one snapshot, which is removed; then stop");

namespace resnet::cli {
namespace {

void apply_flags(SolverParameter* param) {
  if (given("max_iter")) param->set_max_iter(FLAGS_max_iter);
  if (given("seed")) {
    if (FLAGS_seed > std::numeric_limits<int64_t>::max()) throw ConfigError("--seed is too large");
    param->set_random_seed(static_cast<int64_t>(FLAGS_seed));
  }
  if (FLAGS_batch < 0) throw ConfigError("--batch takes a number from 1");
  if (FLAGS_skip_bad < 0) throw ConfigError("--skip_bad takes a number from 0");
  if (FLAGS_shards < 1) throw ConfigError("--shards takes a number from 1");
  if (!FLAGS_weights.empty() && !FLAGS_snapshot.empty()) {
    throw ConfigError(
        "--weights starts a new run and --snapshot goes on with one; give one of them");
  }
  if (FLAGS_tensorboard_histograms && FLAGS_tensorboard.empty()) {
    throw ConfigError("--tensorboard_histograms: give --tensorboard=DIR, too");
  }
  if (!FLAGS_curve.empty()) check_figure_name("--curve", FLAGS_curve);
}

std::string log_path(const std::string& prefix) { return prefix + ".log.jsonl"; }

// What --snapshot names.
std::optional<LoadedState> find_snapshot(const std::string& prefix) {
  if (FLAGS_snapshot.empty()) return std::nullopt;
  if (FLAGS_snapshot != "auto") return read_solverstate(FLAGS_snapshot);
  std::vector<std::string> notes;
  std::optional<LoadedState> found = find_latest(prefix, &notes);
  for (const std::string& note : notes) LOG(WARNING) << note;
  if (!found) LOG(INFO) << "no snapshot " << prefix << "_iter_*: starting from the beginning";
  return found;
}

Feed open_feed(const SolverFiles& files, Phase phase, uint64_t seed) {
  FeedOptions options;
  options.phase = phase;
  options.seed = seed;
  options.loader_threads = FLAGS_loader_threads;
  options.batch = phase == TRAIN ? FLAGS_batch : 0;
  options.base_dir = files.base_dir;
  options.skip_bad = FLAGS_skip_bad;
  return Feed(files.net, options);
}

Net plan(const SolverFiles& files, std::shared_ptr<Backend> backend, const Feed& train,
         const Feed& test) {
  NetOptions options;
  options.plan = plan_options();
  options.plan.shards = FLAGS_shards;
  options.iter_size = files.param.iter_size();
  options.locate = [files](int layer) { return files.locate(layer); };
  return Net(files.net, std::move(backend), options, train.shapes(), test.shapes());
}

void fill_weights(Net& net, const SolverParameter& param, uint64_t seed) {
  net.initialize(seed);
  std::vector<std::string> paths = split_list(FLAGS_weights);
  if (paths.empty()) paths.assign(param.weights().begin(), param.weights().end());
  for (const std::string& path : paths) {
    const WeightSet weights = read_caffemodel(path);
    for (const std::string& note : weights.notes) LOG(INFO) << note;
    LOG(INFO) << path << ": " << load_weights(net, weights, FLAGS_allow_missing).str();
  }
}

// The console, and the files that a run logs to.
std::vector<std::unique_ptr<Observer>> open_logs(const std::string& prefix, const Net& net) {
  std::vector<std::unique_ptr<Observer>> logs;
  logs.push_back(console_observer());
  if (FLAGS_dry_run) return logs;
  logs.push_back(json_observer(log_path(prefix)));
  if (!FLAGS_caffe_log.empty()) {
    prepare_directory_of(FLAGS_caffe_log);
    logs.push_back(caffe_log_observer(FLAGS_caffe_log));
  }
  if (!FLAGS_tensorboard.empty()) {
    logs.push_back(
        tensorboard_observer(FLAGS_tensorboard, FLAGS_tensorboard_histograms ? &net : nullptr));
  }
  return logs;
}

// Remembers what --json prints.
class Summary : public Observer {
 public:
  void on_step(const StepReport& step) override {
    if (++steps_ == 1) return;  // the first one plans and touches memory
    seconds_ += step.seconds;
    data_seconds_ += step.data_seconds;
    images_ += step.images;
  }
  void on_test(const TestReport& test) override { test_ = test; }
  void on_snapshot(const SnapshotReport& snapshot) override { snapshot_ = snapshot.paths.model; }
  void on_stop(const StopReport& stop) override { stop_ = stop; }

  void print(Net& net, uint64_t seed) const {
    Json out;
    out.set("iteration", stop_.iteration).set("seed", seed).set("snapshot", snapshot_);
    if (stop_.loss) out.set("loss", *stop_.loss);
    if (test_.error) out.set("test_error_top1", 100 * *test_.error).set("images", test_.images);
    if (seconds_ > 0) {
      out.set("images_per_s", static_cast<double>(images_) / seconds_);
      out.set("ms_per_step", 1000 * seconds_ / static_cast<double>(steps_ - 1));
      out.set("data_wait_share", data_seconds_ / seconds_);
    }
    out.set("peak_bytes", peak_bytes())
        .set("planned_bytes", planned_bytes(net, net.session(TRAIN)));
    out.set("parameters", parameter_count(net)).set("device", net.backend().description());
    std::cout << out.str() << '\n';
  }

 private:
  int64_t steps_ = 0, images_ = 0;
  double seconds_ = 0, data_seconds_ = 0;
  TestReport test_;
  StopReport stop_;
  std::string snapshot_;
};

ExitCode run(const Operands&) {
  // Parse.
  SolverFiles files = read_solver(FLAGS_solver);
  apply_flags(&files.param);
  SolverParameter::Math math = SolverParameter::FLOAT32;
  if (given("math") && SolverParameter::Math_Parse(FLAGS_math, &math)) files.param.set_math(math);
  if (!given("math")) FLAGS_math = SolverParameter::Math_Name(files.param.math());
  check_solver(files.param);
  const std::string prefix = snapshot_prefix(files.param, FLAGS_solver);
  prepare_directory_of(prefix);
  if (!FLAGS_curve.empty()) prepare_directory_of(FLAGS_curve);
  const std::optional<LoadedState> resumed = find_snapshot(prefix);
  const uint64_t seed = choose_seed(files.param, resumed ? &*resumed : nullptr);

  // Open data, plan.
  std::vector<std::string> choices;  // of kernels: a resumed run goes on with those that it had
  if (resumed) {
    const auto& recorded = resumed->state.kernel_choice();
    choices.assign(recorded.begin(), recorded.end());
  }
  const std::shared_ptr<Backend> backend = open_backend(device_of(files.param), std::move(choices));
  std::optional<Feed> train, test;
  const auto open_and_plan = [&] {
    train.emplace(open_feed(files, TRAIN, seed));
    test.emplace(open_feed(files, TEST, seed));
    return plan(files, backend, *train, *test);
  };
  if (!files.problems.empty()) throw_problems(files.problems, files.where, open_and_plan);
  Net net = open_and_plan();

  // Restore.
  SignalGuard signals;
  Summary summary;
  const std::vector<std::unique_ptr<Observer>> logs = open_logs(prefix, net);
  SolverSetup setup{files.param, prefix, seed, {&summary}, {}};
  for (const auto& log : logs) setup.observers.push_back(log.get());
  setup.poll = [&] { return signals.take(); };
  Solver solver(std::move(setup), net, *train, &*test);
  fill_weights(net, files.param, seed);
  if (resumed) {
    for (const std::string& note : solver.restore(*resumed)) LOG(WARNING) << note;
  }

  // Run, report.
  if (FLAGS_dry_run) {
    solver.dry_run();
    LOG(INFO) << "Dry run: the solver, the nets, the data and the snapshots are fine";
    return ExitCode::ok;
  }
  const Solver::Outcome outcome = solver.run();
  LOG(INFO) << "Memory: planned " << bytes_text(planned_bytes(net, net.session(TRAIN)))
            << ", held at most " << bytes_text(peak_bytes());
  if (!FLAGS_curve.empty()) draw_overview(log_path(prefix), FLAGS_curve);
  if (FLAGS_json) summary.print(net, seed);
  return outcome == Solver::Outcome::finished ? ExitCode::ok : ExitCode::interrupted;
}

}  // namespace

extern const Command kTrain = {
    .name = "train",
    .summary = "Train the net of a solver",
    .operands = "",
    .computes = true,
    .flags = {required("solver"),
              {"weights", "FILE[,FILE..]: initial weights (caffemodel)"},
              {"snapshot"},
              {"max_iter"},
              {"seed", "N: of weights, order and augmentation; replaces the solver's random_seed"},
              {"shards"},
              {"memory_budget"},
              {"fuse"},
              {"reuse"},
              {"layouts"},
              {"batch", "N: images in a training batch; 0: as the net says"},
              {"loader_threads"},
              {"skip_bad"},
              {"allow_missing"},
              {"curve"},
              {"tensorboard"},
              {"tensorboard_histograms"},
              {"caffe_log"},
              {"dry_run"},
              {"json"}},
    .examples =
        "resnet train --solver=solver.prototxt\n"
        "resnet train --solver=solver.prototxt --snapshot=auto\n"
        "resnet train --solver=solver.prototxt --weights=net.caffemodel --max_iter=1000",
    .run = run,
};

}  // namespace resnet::cli
