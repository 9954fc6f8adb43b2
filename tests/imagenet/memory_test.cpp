// What training holds of the machine's memory against what was planned.
#include <cstdio>

#include "cli/tool.h"
#include "imagenet/nets.h"
#include "imagenet/process_memory.h"
#include "imagenet/recipe.h"

namespace resnet {
namespace {

using test::json_number;
using test::Workspace;
using testing::train_net;

TEST(TrainingMemory, TheArenaIsAsPlanned) {
  cli::ImageNetNet net = cli::imagenet_net(18);
  net.batch = 16;
  const auto trained = train_net(net, 64);
  Session& session = trained->session(TRAIN);
  testing::fill_inputs(*trained, session, 3);
  trained->forward_backward(session);
  const Program& program = trained->program(session);
  const int64_t planned = program.arena_bytes + program.scratch_bytes;
  EXPECT_NEAR(static_cast<double>(trained->arena_bytes()), static_cast<double>(planned),
              0.01 * static_cast<double>(planned));
  const int64_t before = trained->planned_bytes();

  // A small test needs its inputs and folded weights beside that, but no arena.
  Session& test = trained->session(TEST, 2);
  trained->forward(test);
  EXPECT_EQ(trained->arena_bytes(), planned);
  const Program& small = trained->program(test);
  const int64_t images = 4 * (2 * 3 * 64 * 64 + 2);
  EXPECT_LE(trained->planned_bytes(),
            before + small.derived_bytes + small.persistent_bytes + images);
  EXPECT_GE(trained->planned_bytes(), before + images);
}

struct Held {
  double planned = 0, peak = 0;  // bytes
};

Held held(const test::RunResult& run) {
  return {json_number(run.out, "planned_bytes").value_or(0),
          json_number(run.out, "peak_bytes").value_or(0)};
}

// What a run takes beside its plan is measured at batch 1: code, files, buffers of the libraries.
void expect_as_planned(const char* what, const Held& one, const Held& many) {
  const double baseline = one.peak - one.planned;
  std::printf("%s: planned %.0f MiB, baseline %.0f MiB, peak %.0f MiB (%+.1f %%)\n", what,
              many.planned / (1 << 20), baseline / (1 << 20), many.peak / (1 << 20),
              100 * (many.peak / (many.planned + baseline) - 1));
  EXPECT_GT(one.planned, 0);
  EXPECT_GT(many.planned, 1.2 * one.planned);  // so that the batch matters
  EXPECT_LE(many.peak, 1.1 * (many.planned + baseline));
  EXPECT_GE(many.peak, many.planned);
}

Held time_steps(const Workspace& dir, const std::string& batch, const std::string& shape) {
  return held(
      dir.run_ok({"time", "--model=train_val.prototxt", "--phase=TRAIN", "--json",
                  "--batch=" + batch, "--input_shape=" + shape, "--warmup=1", "--iterations=1"}));
}

TEST(TrainingMemory, TheProcessIsAsPlanned) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const Workspace dir;
  dir.write("train_val.prototxt", cli::train_val_text(cli::imagenet_net(18)));
  const std::string shape = "3,96,96";
  expect_as_planned("ResNet-18", time_steps(dir, "1", shape), time_steps(dir, "16", shape));
}

TEST(TrainingMemorySlow, ResNet50AtBatch16) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const Workspace dir;
  dir.write("train_val.prototxt", cli::train_val_text(cli::imagenet_net(50)));
  const std::string shape = "3,224,224";
  expect_as_planned("resnet time", time_steps(dir, "1", shape), time_steps(dir, "16", shape));
}

// With data layers, tests and snapshots.
TEST(TrainingMemorySlow, ResNet50AtBatch16FromASolver) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const auto run = [](int batch) {
    const Workspace dir;
    testing::define_recipe(dir, {"--depth=50", "--batch=" + std::to_string(batch)}, 224);
    return held(dir.run_ok({"train", "--solver=solver.prototxt", "--max_iter=2", "--json"}));
  };
  expect_as_planned("resnet train", run(1), run(16));
}

}  // namespace
}  // namespace resnet
