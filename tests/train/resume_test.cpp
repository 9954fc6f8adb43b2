// A run that stops and goes on is the run that never stopped, bit by bit.
#include <gtest/gtest.h>

#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

class Resume : public ::testing::TestWithParam<std::string> {
 protected:
  Resume() { write_small_cifar(dir_.path()); }
  std::string net() const { return small_train_net(dir_.path()); }
  RunOptions options() const { return {.backend = GetParam()}; }

  ScratchDirectory dir_;
};

TEST_P(Resume, ContinuesBitByBitFromEveryIteration) {
  // Everything that a later iteration depends on: plateau and warm-up look at the windows.
  const std::string solver =
      "base_lr: 0.05 lr_policy: 'plateau' plateau_patience: 1 plateau_threshold: 0.5 warmup_lr: "
      "0.01 "
      "warmup_error: 0.95 momentum: 0.9 weight_decay: 0.001 max_iter: 9 window: 2 random_seed: 5 "
      "average_loss: 3 test_interval: 3 iter_size: 2 snapshot: 1 ";
  TrainRun whole(solver, net(), dir_ / "whole", options());
  ASSERT_EQ(whole.solver.run(), Solver::Outcome::finished);
  const std::string model = read_file(snapshot_paths(dir_ / "whole", 9).model);
  const std::string state = read_file(snapshot_paths(dir_ / "whole", 9).state);

  for (const int64_t iteration : {1, 2, 3, 5, 8}) {
    RunOptions other = options();
    other.loader_threads = static_cast<int>(iteration % 3);
    TrainRun rest(solver, net(), dir_ / "rest", other);
    rest.resume(snapshot_paths(dir_ / "whole", iteration).state);
    EXPECT_EQ(rest.solver.iteration(), iteration);
    ASSERT_EQ(rest.solver.run(), Solver::Outcome::finished);
    expect_equal(rest.weights(), whole.weights());
    EXPECT_EQ(read_file(snapshot_paths(dir_ / "rest", 9).model), model) << "from " << iteration;
    // The states differ in the name of the model only.
    EXPECT_EQ(read_file(snapshot_paths(dir_ / "rest", 9).state).size(), state.size() - 1);
    const auto& steps = rest.recorder.steps;
    for (size_t i = 0; i < steps.size(); ++i) {
      const StepReport& was = whole.recorder.steps[static_cast<size_t>(iteration) + i];
      EXPECT_EQ(steps[i].loss, was.loss);
      EXPECT_EQ(steps[i].smoothed_loss, was.smoothed_loss);
      EXPECT_EQ(steps[i].rate, was.rate);
    }
  }
}

TEST_P(Resume, GoesOnWhereCaffeStopped) {
  const std::string caffe = shared_dir() + "/caffe/train";
  RESNET_NEEDS_FILE(caffe);
  std::filesystem::copy(caffe + "/snap/main_iter_25.caffemodel", dir_ / "main_iter_25.caffemodel");
  std::filesystem::copy(caffe + "/snap/main_iter_25.solverstate",
                        dir_ / "main_iter_25.solverstate");
  RunOptions options = this->options();
  options.base_dir = caffe;
  TrainRun run(read_file(caffe + "/solver.prototxt"), read_file(caffe + "/net.prototxt"),
               dir_ / "ours", options);
  run.resume(dir_ / "main_iter_25.solverstate");
  EXPECT_EQ(run.solver.iteration(), 25);
  ASSERT_EQ(run.solver.run(), Solver::Outcome::finished);
  const WeightSet wanted = read_caffemodel(caffe + "/snap/main_iter_50.caffemodel");
  for (const NamedBlob& blob : wanted.blobs) {
    for (size_t i = 0; i < run.net.parameters().size(); ++i) {
      const Parameter& parameter = run.net.parameters()[i];
      if (parameter.layer != blob.layer || parameter.blob != blob.index) continue;
      EXPECT_LT(distance(run.net.read_parameter(static_cast<int>(i)).data, blob.data), 1e-4)
          << parameter.name();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, Resume, ::testing::Values("reference", "onednn"));

class ResumeErrors : public ::testing::Test {
 protected:
  ResumeErrors() {
    write_small_cifar(dir_.path());
    TrainRun run(changed(kSmallSolver, "snapshot: 10"), small_train_net(dir_.path()), dir_ / "run");
    run.solver.run();
    state_ = snapshot_paths(dir_ / "run", 10).state;
  }
  std::string error(const std::string& more, const std::string& net_text, int shards = 1) {
    TrainRun run(changed(kSmallSolver, more), net_text, dir_ / "other", {.shards = shards});
    try {
      run.resume(state_);
    } catch (const Error& e) {
      return e.what();
    }
    return "no error";
  }
  std::string net() const { return small_train_net(dir_.path()); }

  ScratchDirectory dir_;
  std::string state_;
};

TEST_F(ResumeErrors, NameWhatDiffers) {
  EXPECT_ONE_LINE(error("type: 'Nesterov'", net()), "solver type SGD", "Nesterov", "--weights");
  EXPECT_ONE_LINE(error("iter_size: 2", net()), "iter_size 1", "2");
  EXPECT_ONE_LINE(error("random_seed: 6", net()), "seed 5", "6");
  EXPECT_ONE_LINE(error("window: 3", net()), "window");
  EXPECT_ONE_LINE(error("", net(), 2), "shards 1", "2");

  std::string batch = net();
  batch.replace(batch.find("batch_size: 8"), 13, "batch_size: 4");
  EXPECT_ONE_LINE(error("", batch), "batch size 8", "4");

  std::string part = net();
  part.replace(part.find("batch_size: 8"), 13, "batch_size: 8 record_end: 32");
  EXPECT_ONE_LINE(error("", part), "layer 'data'", "32 records", "40");

  std::string wide = net();
  wide.replace(wide.find("num_output: 8"), 13, "num_output: 9");
  EXPECT_ONE_LINE(error("", wide), "conv2/weight", "(8,4,3,3)", "(9,4,3,3)");

  EXPECT_EQ(error("", net()), "no error");
}

TEST_F(ResumeErrors, ChangedSettingsAreNoted) {
  TrainRun run(changed(kSmallSolver, "base_lr: 0.01"), net(), dir_ / "other");
  const std::vector<std::string> notes = run.solver.restore(read_solverstate(state_));
  ASSERT_EQ(notes.size(), 1u);
  EXPECT_ONE_LINE(notes[0], "solver or the net differs");
}

TEST_F(ResumeErrors, TheSeedIsThatOfTheSnapshot) {
  const LoadedState loaded = read_solverstate(state_);
  EXPECT_EQ(choose_seed(SolverParameter(), &loaded), 5u);
  EXPECT_EQ(choose_seed(parse_solver_prototxt("random_seed: 5"), &loaded), 5u);
  EXPECT_EQ(choose_seed(parse_solver_prototxt("random_seed: 7"), nullptr), 7u);
  EXPECT_ONE_LINE(
      error_of<ConfigError>([&] { choose_seed(parse_solver_prototxt("random_seed: 7"), &loaded); }),
      "seed 5", "7");
}

}  // namespace
}  // namespace resnet::testing
