// Whole training runs on the CUDA backend, emulated on the host (tests/cuda_emulation) or on a GPU.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cuda/devices.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"
#include "test_paths.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

TEST(Gpu, IsTestedToo) {
  if (devices().size() > 1) return;
  std::string reason = cuda_obstacle();
  if (reason.empty()) {
    try {
      make_backend("cuda");
    } catch (const DeviceError& e) {
      reason = e.what();
    }
  }
  GTEST_SKIP() << "only the emulation is tested: " << reason;
}

class DeviceTraining : public ::testing::TestWithParam<std::string> {
 protected:
  DeviceTraining() { write_small_cifar(dir_.path()); }
  std::string net() const { return small_train_net(dir_.path()); }
  RunOptions options() const { return {.backend = GetParam()}; }

  ScratchDirectory dir_;
};

// Chunks of half a window: with `window: 8`, of 4 iterations.
constexpr const char* kSolver =
    "base_lr: 0.05 lr_policy: 'multistep' gamma: 0.1 stepvalue: 17 momentum: 0.9 weight_decay: "
    "0.001 "
    "max_iter: 24 window: 8 average_loss: 3 random_seed: 5 test_interval: 10 snapshot: 7 ";

TEST_P(DeviceTraining, FollowsTheCpu) {
  TrainRun cpu(kSolver, net(), dir_ / "cpu"), device(kSolver, net(), dir_ / "device", options());
  ASSERT_EQ(cpu.solver.run(), Solver::Outcome::finished);
  ASSERT_EQ(device.solver.run(), Solver::Outcome::finished);
  ASSERT_EQ(device.recorder.steps.size(), cpu.recorder.steps.size());
  for (size_t i = 0; i < cpu.recorder.steps.size(); ++i) {
    const StepReport &a = device.recorder.steps[i], &b = cpu.recorder.steps[i];
    EXPECT_NEAR(a.loss, b.loss, (i < 10 ? 1e-4 : 1e-2) * std::abs(b.loss)) << i;
    EXPECT_EQ(a.iteration, b.iteration);
    EXPECT_EQ(a.rate, b.rate);
    EXPECT_EQ(a.images, b.images);
    EXPECT_EQ(a.epoch, b.epoch);
    ASSERT_EQ(a.metrics.size(), b.metrics.size());
    EXPECT_EQ(a.metrics[0].name, b.metrics[0].name);
  }
  ASSERT_EQ(device.recorder.tests.size(), cpu.recorder.tests.size());
  for (size_t i = 0; i < cpu.recorder.tests.size(); ++i) {
    EXPECT_EQ(device.recorder.tests[i].iteration, cpu.recorder.tests[i].iteration);
    EXPECT_NEAR(*device.recorder.tests[i].error, *cpu.recorder.tests[i].error, 0.101);
  }
  ASSERT_EQ(device.recorder.snapshots.size(), cpu.recorder.snapshots.size());
}

// Drawn by the device or fed by the host, recorded or not, batch by batch or in chunks: equal bits.
TEST_P(DeviceTraining, DoesNotDependOnWhoBringsTheBatches) {
  TrainRun held(kSolver, net(), dir_ / "held", options());
  ASSERT_EQ(held.solver.run(), Solver::Outcome::finished);
  EXPECT_TRUE(held.solver.data_is_held());
  RunOptions plain = options();
  plain.hold_data = false;
  TrainRun fed(kSolver, net(), dir_ / "fed", plain);
  ASSERT_EQ(fed.solver.run(), Solver::Outcome::finished);
  EXPECT_FALSE(fed.solver.data_is_held());
  expect_equal(fed.weights(), held.weights());
  plain.record = false;
  TrainRun unrecorded(kSolver, net(), dir_ / "unrecorded", plain);
  ASSERT_EQ(unrecorded.solver.run(), Solver::Outcome::finished);
  expect_equal(unrecorded.weights(), held.weights());
  TrainRun stepwise(changed(kSolver, "window: 1"), net(), dir_ / "stepwise", options());
  ASSERT_EQ(stepwise.solver.run(), Solver::Outcome::finished);
  expect_equal(stepwise.weights(), held.weights());
  for (size_t i = 0; i < held.recorder.steps.size(); ++i) {
    EXPECT_EQ(fed.recorder.steps[i].loss, held.recorder.steps[i].loss);
    EXPECT_EQ(stepwise.recorder.steps[i].loss, held.recorder.steps[i].loss);
  }
}

TEST_P(DeviceTraining, ResumesBitByBit) {
  TrainRun whole(kSolver, net(), dir_ / "whole", options());
  ASSERT_EQ(whole.solver.run(), Solver::Outcome::finished);
  for (const int64_t iteration : {7, 14}) {
    TrainRun rest(kSolver, net(), dir_ / "rest", options());
    rest.resume(snapshot_paths(dir_ / "whole", iteration).state);
    ASSERT_EQ(rest.solver.run(), Solver::Outcome::finished);
    expect_equal(rest.weights(), whole.weights());
    EXPECT_EQ(read_file(snapshot_paths(dir_ / "rest", 24).model),
              read_file(snapshot_paths(dir_ / "whole", 24).model));
  }
}

TEST_P(DeviceTraining, GoesOnWithTheSnapshotOfTheCpuAndBack) {
  TrainRun cpu(kSolver, net(), dir_ / "cpu");
  ASSERT_EQ(cpu.solver.run(), Solver::Outcome::finished);
  TrainRun device(kSolver, net(), dir_ / "device", options());
  device.resume(snapshot_paths(dir_ / "cpu", 7).state);
  ASSERT_EQ(device.solver.run(), Solver::Outcome::finished);
  EXPECT_NEAR(device.recorder.steps.back().loss, cpu.recorder.steps.back().loss,
              1e-2 * cpu.recorder.steps.back().loss);
  TrainRun back(kSolver, net(), dir_ / "back");
  back.resume(snapshot_paths(dir_ / "device", 14).state);
  ASSERT_EQ(back.solver.run(), Solver::Outcome::finished);
  EXPECT_NEAR(back.recorder.steps.back().loss, cpu.recorder.steps.back().loss,
              1e-2 * cpu.recorder.steps.back().loss);
}

TEST_P(DeviceTraining, AddsGradientsClipsAndAccelerates) {
  const std::string solver =
      changed(kSolver, "iter_size: 2 clip_gradients: 0.5 type: 'Nesterov' max_iter: 9");
  TrainRun cpu(solver, net(), dir_ / "cpu"), device(solver, net(), dir_ / "device", options());
  ASSERT_EQ(cpu.solver.run(), Solver::Outcome::finished);
  ASSERT_EQ(device.solver.run(), Solver::Outcome::finished);
  for (size_t i = 0; i < cpu.recorder.steps.size(); ++i) {
    EXPECT_NEAR(device.recorder.steps[i].loss, cpu.recorder.steps[i].loss,
                1e-4 * cpu.recorder.steps[i].loss);
  }
}

TEST_P(DeviceTraining, StopsAtASignal) {
  RunOptions stopping = options();
  int asked = 0;
  stopping.poll = [&] { return ++asked > 6 ? Action::stop : Action::none; };
  TrainRun run(kSolver, net(), dir_ / "run", stopping);
  ASSERT_EQ(run.solver.run(), Solver::Outcome::interrupted);
  const int64_t at = run.solver.iteration();
  EXPECT_GT(at, 0);
  EXPECT_LT(at, 24);
  EXPECT_EQ(run.recorder.steps.size(), static_cast<size_t>(at));
  TrainRun whole(kSolver, net(), dir_ / "whole", options());
  ASSERT_EQ(whole.solver.run(), Solver::Outcome::finished);
  TrainRun rest(kSolver, net(), dir_ / "rest", options());
  rest.resume(snapshot_paths(dir_ / "run", at).state);
  ASSERT_EQ(rest.solver.run(), Solver::Outcome::finished);
  expect_equal(rest.weights(), whole.weights());
}

// A loss that is not finite stops the run: named are the iteration, the layer and the records of that
// batch, though later batches were drawn since, and the weights are those before it.
TEST_P(DeviceTraining, StopsAtALossThatIsNotFinite) {
  const std::string solver =
      changed(kSolver, "base_lr: 1e30 lr_policy: 'fixed' test_interval: 0 snapshot: 0");
  TrainRun cpu(solver, net(), dir_ / "cpu"), device(solver, net(), dir_ / "device", options());
  EXPECT_THROW(cpu.solver.run(), NonFiniteError);
  EXPECT_THROW(device.solver.run(), NonFiniteError);
  const StopReport &a = device.recorder.stops.back(), &b = cpu.recorder.stops.back();
  EXPECT_EQ(a.iteration, b.iteration);
  EXPECT_EQ(a.record_keys, b.record_keys);
  EXPECT_NE(a.message.find("first in"), std::string::npos) << a.message;
}

TEST_P(DeviceTraining, TrainsInSixteenBits) {
  TrainRun exact(kSolver, net(), dir_ / "exact", options());
  ASSERT_EQ(exact.solver.run(), Solver::Outcome::finished);
  for (const DType math : {DType::bf16, DType::f16}) {
    SCOPED_TRACE(name_of(math));
    RunOptions low = options();
    low.math = math;
    TrainRun device(kSolver, net(), dir_ / "low", low);
    ASSERT_EQ(device.solver.run(), Solver::Outcome::finished);
    low.backend = "reference";
    TrainRun reference(kSolver, net(), dir_ / "reference", low);
    ASSERT_EQ(reference.solver.run(), Solver::Outcome::finished);
    for (size_t i = 0; i < 10; ++i) {
      const double loss = exact.recorder.steps[i].loss;
      EXPECT_NEAR(device.recorder.steps[i].loss, loss, 2e-2 * loss) << i;
      EXPECT_NEAR(device.recorder.steps[i].loss, reference.recorder.steps[i].loss, 2e-2 * loss)
          << i;
    }
    TrainRun again(kSolver, net(), dir_ / "again", {.backend = GetParam(), .math = math});
    const LoadedState saved = read_solverstate(snapshot_paths(dir_ / "low", 14).state);
    EXPECT_EQ(saved.state.loss_scale_steps(), math == DType::f16 ? 14 : 0);
    EXPECT_EQ(saved.state.has_loss_scale(), math == DType::f16);
    again.resume(snapshot_paths(dir_ / "low", 14).state);
    ASSERT_EQ(again.solver.run(), Solver::Outcome::finished);
    expect_equal(again.weights(), device.weights());
  }
}

TEST_P(DeviceTraining, SplitsIntoShards) {
  RunOptions split = options();
  split.shards = 4;
  TrainRun cpu(kSolver, net(), dir_ / "cpu", {.shards = 4});
  TrainRun device(kSolver, net(), dir_ / "device", split);
  ASSERT_EQ(cpu.solver.run(), Solver::Outcome::finished);
  ASSERT_EQ(device.solver.run(), Solver::Outcome::finished);
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_NEAR(device.recorder.steps[i].loss, cpu.recorder.steps[i].loss,
                1e-3 * cpu.recorder.steps[i].loss);
  }
}

// A set that does not fit beside the program: the host feeds, with the same bits.
TEST_P(DeviceTraining, FeedsWhatTheDeviceCannotHold) {
  if (GetParam() == "cuda") GTEST_SKIP() << "takes a GPU with little memory";
  write_cifar(dir_ / "data_batch_1.bin", kTrainRecords, 400);  // 1.2 MiB more
  const auto weights = [&](const std::string& name, bool is_held) {
    TrainRun run(kSolver, net(), dir_ / name, options());
    EXPECT_EQ(run.solver.run(), Solver::Outcome::finished);
    EXPECT_EQ(run.solver.data_is_held(), is_held);
    return run.weights();
  };
  const std::vector<HostArray> held = weights("held", true);
  constexpr const char* kMemory = "RESNET_EMULATED_CUDA_MEMORY_MB";
  setenv(kMemory, "1", 1);
  const std::vector<HostArray> fed = weights("fed", false);
  unsetenv(kMemory);
  expect_equal(fed, held);
}

INSTANTIATE_TEST_SUITE_P(Devices, DeviceTraining, ::testing::ValuesIn(devices()),
                         [](const auto& info) {
                           return std::string(info.param == "cuda" ? "gpu" : "emulated");
                         });

}  // namespace
}  // namespace resnet::testing
