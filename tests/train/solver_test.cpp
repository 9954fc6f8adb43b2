// Tests, snapshots, signals, lint and bad configurations of the Solver.
#include "resnet/solver/solver.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <numeric>

#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "resnet/solver/signals.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

class SolverTest : public ::testing::Test {
 protected:
  SolverTest() { write_small_cifar(dir_.path()); }
  std::string net() const { return small_train_net(dir_.path()); }
  std::string prefix() const { return dir_ / "run"; }
  bool exists(int64_t iteration) const {
    const SnapshotPaths paths = snapshot_paths(prefix(), iteration);
    return std::filesystem::exists(paths.model) && std::filesystem::exists(paths.state);
  }
  std::string config_error(const std::string& fields, const std::string& net_text) {
    return error_of<ConfigError>([&] {
      TrainRun run(changed(kSmallSolver, fields), net_text, prefix());
      run.solver.run();
    });
  }

  ScratchDirectory dir_;
};

TEST_F(SolverTest, TestsTheWholeSetWhenCaffeWould) {
  TrainRun run(kSmallSolver, net(), prefix());
  run.solver.run();
  std::vector<int64_t> iterations;
  for (const TestReport& test : run.recorder.tests) {
    iterations.push_back(test.iteration);
    EXPECT_EQ(test.images, kTestRecords) << "20 images in batches of 8, 8 and 4";
    ASSERT_TRUE(test.error);
    EXPECT_NEAR(*test.error * kTestRecords, std::round(*test.error * kTestRecords), 1e-5);
  }
  EXPECT_EQ(iterations, (std::vector<int64_t>{0, 4, 8}));
  EXPECT_EQ(run.recorder.steps.size(), 10u);
  EXPECT_EQ(run.recorder.stops.at(0).why, StopReport::Why::finished);
  EXPECT_EQ(run.recorder.start.parameters, 4 * 3 * 9 + 8 + 8 * 4 * 9 + 16 + 80 + 10);
}

TEST_F(SolverTest, TestsDoNotChangeTheTraining) {
  TrainRun often(changed(kSmallSolver, "test_interval: 1"), net(), prefix());
  TrainRun never(changed(kSmallSolver, "test_interval: 0"), net(), prefix());
  often.solver.run();
  never.solver.run();
  expect_equal(often.weights(), never.weights());
}

TEST_F(SolverTest, TestIterIsObeyedWithAWarning) {
  TrainRun run(changed(kSmallSolver, "test_iter: 2"), net(), prefix());
  run.solver.run();
  EXPECT_EQ(run.recorder.tests.at(0).images, 16);
  const std::vector<std::string>& notes = run.recorder.notes;
  const auto partly = std::find_if(notes.begin(), notes.end(), [](const std::string& note) {
    return note.find("covers 16 of 20 test records") != std::string::npos;
  });
  EXPECT_NE(partly, notes.end());
}

TEST_F(SolverTest, AveragesTheLossOverIterations) {
  TrainRun run(kSmallSolver, net(), prefix());
  run.solver.run();
  const auto& steps = run.recorder.steps;
  EXPECT_DOUBLE_EQ(steps[0].smoothed_loss, steps[0].loss);
  EXPECT_NEAR(steps[9].smoothed_loss, (steps[7].loss + steps[8].loss + steps[9].loss) / 3, 1e-12);
}

TEST_F(SolverTest, CountsWindows) {
  TrainRun run(changed(kSmallSolver, "window: 4"), net(), prefix());
  run.solver.run();
  const History& history = run.solver.history();
  ASSERT_EQ(history.windows.size(), 2u);
  EXPECT_EQ(history.windows[1].images(), 32);
  EXPECT_EQ(history.open.iterations(), 2);
  double wrong = 0;
  for (size_t i = 4; i < 8; ++i) wrong += 8 * (1 - run.recorder.steps[i].metrics[0].value);
  EXPECT_NEAR(history.windows[1].error_sum(), wrong, 1e-5);
}

TEST_F(SolverTest, KeepsTheNewestAndTheBest) {
  TrainRun run(changed(kSmallSolver,
                       "snapshot: 1 keep_snapshots: 2 keep_best: true "
                       "test_interval: 1 max_iter: 8"),
               net(), prefix());
  run.solver.run();
  int64_t best = -1;
  double least = 2;
  for (const TestReport& test : run.recorder.tests) {
    EXPECT_EQ(test.best, *test.error < least);
    if (*test.error < least) best = test.iteration;
    least = std::min(least, *test.error);
  }
  EXPECT_TRUE(exists(8));
  EXPECT_TRUE(exists(7));
  EXPECT_TRUE(exists(best)) << best;
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(exists(i), i == best) << i;
}

TEST_F(SolverTest, SnapshotAfterTrain) {
  TrainRun run(changed(kSmallSolver, "max_iter: 3"), net(), prefix());
  run.solver.run();
  EXPECT_TRUE(exists(3));
  const WeightSet weights = read_caffemodel(snapshot_paths(prefix(), 3).model);
  ASSERT_TRUE(weights.preprocessing);
  EXPECT_EQ(weights.preprocessing->crop_size(), 24u);
  EXPECT_EQ(weights.blobs.size(), run.net.parameters().size());
}

TEST_F(SolverTest, AStopSignalIsASnapshotAtTheNextBoundary) {
  SignalGuard guard;
  RunOptions options;
  int polls = 0;
  options.poll = [&] {
    if (++polls == 7) std::raise(SIGTERM);
    return guard.take();
  };
  TrainRun run(kSmallSolver, net(), prefix(), options);
  EXPECT_EQ(run.solver.run(), Solver::Outcome::interrupted);
  const int64_t at = run.solver.iteration();
  EXPECT_LT(at, 10);
  EXPECT_TRUE(exists(at));
  EXPECT_EQ(run.recorder.stops.at(0).why, StopReport::Why::interrupted);

  TrainRun rest(kSmallSolver, net(), prefix());
  rest.resume(snapshot_paths(prefix(), at).state);
  EXPECT_EQ(rest.solver.run(), Solver::Outcome::finished);
  TrainRun whole(kSmallSolver, net(), dir_ / "whole");
  whole.solver.run();
  expect_equal(rest.weights(), whole.weights());
}

TEST_F(SolverTest, ASnapshotSignalIsASnapshotOnly) {
  SignalGuard guard;
  RunOptions options;
  bool raised = false;
  options.poll = [&] {
    if (!std::exchange(raised, true)) std::raise(SIGHUP);
    return guard.take();
  };
  TrainRun run(kSmallSolver, net(), prefix(), options);
  EXPECT_EQ(run.solver.run(), Solver::Outcome::finished);
  EXPECT_EQ(run.recorder.snapshots.size(), 2u) << "asked for, and the last";
}

TEST(SignalGuardDeathTest, TheSecondStopEndsAtOnce) {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    EXPECT_EXIT(
        {
          SignalGuard guard;
          std::raise(signal);
          if (guard.take() == Action::stop) std::raise(signal);
        },
        ::testing::KilledBySignal(signal), "");
  }
}

TEST_F(SolverTest, ANonFiniteLossStopsBeforeTheUpdate) {
  TrainRun run(kSmallSolver, net(), prefix());
  const int fc = static_cast<int>(run.net.parameters().size()) - 2;
  ASSERT_EQ(run.net.parameters()[static_cast<size_t>(fc)].name(), "fc/weight");
  std::vector<float> values = run.net.read_parameter(fc).data;
  values[3] = std::numeric_limits<float>::quiet_NaN();
  run.net.write_parameter(fc, values);
  const std::vector<HostArray> before = run.weights();

  const std::string text = error_of<NonFiniteError>([&] { run.solver.run(); });
  EXPECT_ONE_LINE(text, "iteration 0", "'fc'", "records ", "87.3365");
  const std::vector<std::string>& keys = run.recorder.stops.at(0).record_keys;
  EXPECT_EQ(keys.size(), 8u);
  EXPECT_NE(text.find(keys[0]), std::string::npos);
  EXPECT_EQ(run.recorder.steps.size(), 0u);
  // No update: only BatchNorm's statistics moved.
  const std::vector<HostArray> after = run.weights();
  const auto& parameters = run.net.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].learnable) expect_equal({before[2 * i]}, {after[2 * i]});
  }
}

TEST_F(SolverTest, WeightsThatAreNotFiniteAreNotSaved) {
  TrainRun run(kSmallSolver, net(), prefix());
  std::vector<float> values = run.net.read_parameter(0).data;
  values[0] = std::numeric_limits<float>::infinity();
  run.net.write_parameter(0, values);
  EXPECT_ONE_LINE(error_of<NonFiniteError>([&] { run.solver.snapshot(); }), "layer 'conv1'",
                  "no snapshot");
  EXPECT_FALSE(exists(0));
}

TEST_F(SolverTest, LintRefusesARunWithoutSnapshots) {
  EXPECT_ONE_LINE(config_error("snapshot: 100 snapshot_after_train: false", net()),
                  "no snapshot would ever be written", "max_iter 10");
}

TEST_F(SolverTest, LintWarns) {
  // 40 records sorted by label.
  std::filesystem::remove(dir_ / "data_batch_1.bin");
  for (int64_t i = 0; i < kTrainRecords; ++i) {
    write_cifar(dir_ / "data_batch_1.bin", i / 4, 1);
  }
  std::string sorted = net();
  sorted.replace(sorted.find("shuffle: true"), 13, "");
  TrainRun run(kSmallSolver, sorted, prefix());
  run.solver.run();
  const std::string all = std::accumulate(run.recorder.notes.begin(), run.recorder.notes.end(),
                                          std::string(), std::plus<>());
  EXPECT_NE(all.find("sorted by label"), std::string::npos) << all;
  EXPECT_NE(all.find("moving_average_fraction 0.999"), std::string::npos) << all;
}

TEST_F(SolverTest, LintKnowsTheDisk) {
  const std::string text = config_error("snapshot: 1 max_iter: 2000000000 test_interval: 0", net());
  EXPECT_ONE_LINE(text, "MiB free", "keep_snapshots");
}

TEST_F(SolverTest, DryRunLeavesNothingBehind) {
  TrainRun run(kSmallSolver, net(), prefix());
  const std::vector<HostArray> before = run.weights();
  run.solver.dry_run();
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    files += entry.path().extension() != ".bin";
  }
  EXPECT_EQ(files, 0u);
  expect_equal({run.weights()[0]}, {before[0]});
}

TEST_F(SolverTest, BadConfigurationsAreNamed) {
  SolverParameter adam = parse_solver_prototxt(kSmallSolver);
  adam.set_type("Adam");
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { check_solver(adam); }), "type \"Adam\"",
                  "SGD, Nesterov");
  EXPECT_ONE_LINE(config_error("iter_size: 0", net()), "iter_size");
  std::string no_train_accuracy = net();
  no_train_accuracy.replace(no_train_accuracy.find("type: 'Accuracy'"), 16,
                            "type: 'Accuracy' include { phase: TEST }");
  EXPECT_ONE_LINE(config_error("warmup_lr: 0.01", no_train_accuracy), "training error",
                  "Accuracy layer");
  EXPECT_ONE_LINE(config_error("keep_best: true test_interval: 0", net()), "test_interval");
  TrainRun other_math(changed(kSmallSolver, "math: BFLOAT16"), net(), prefix());
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { other_math.solver.run(); }), "math is BFLOAT16",
                  "f32");
}

TEST_F(SolverTest, LabelsOutsideTheClassesAreNamedByKey) {
  std::string narrow = net();
  narrow.replace(narrow.find("num_output: 10"), 14, "num_output: 5");
  TrainRun run(changed(kSmallSolver, "test_interval: 0"), narrow, prefix());
  EXPECT_ONE_LINE(error_of<DataError>([&] { run.solver.run(); }), "record ", "[0,5)");
}

TEST_F(SolverTest, UnwritableSnapshotDirectory) {
  TrainRun run(kSmallSolver, net(), dir_ / "data_batch_1.bin/run");
  EXPECT_ONE_LINE(error_of<DataError>([&] { run.solver.run(); }), "data_batch_1.bin");
}

}  // namespace
}  // namespace resnet::testing
