// Training on photographs that the host decodes, scales and crops, and a device normalises: the same bits as
// from a host that does all of it.
#include <gtest/gtest.h>

#include "cuda/devices.h"
#include "data/image_set_util.h"
#include "data/jpeg_files.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

constexpr int kClasses = 10, kImages = 40;

class PixelTraining : public ::testing::TestWithParam<std::string> {
 protected:
  PixelTraining() {
    std::map<std::string, std::string> files;
    for (int i = 0; i < kImages; ++i) {
      const std::vector<uint8_t> file =
          jpeg_file({}, 40 + i % 7, 44 + i % 5, static_cast<uint32_t>(i));
      files["class" + std::to_string(i % kClasses) + "/" + std::to_string(i) + ".jpg"] =
          std::string(file.begin(), file.end());
    }
    write_files(dir_ / "images", files);
  }

  // The small net on the folder, with the paper's augmentation.
  std::string net() const {
    std::string text = small_train_net(dir_.path());
    const auto replace = [&](const std::string& from, const std::string& to, size_t times) {
      size_t at = 0, found = 0;
      for (; (at = text.find(from, at)) != std::string::npos; at += to.size(), ++found) {
        text.replace(at, from.size(), to);
      }
      EXPECT_EQ(found, times) << from;
    };
    replace("mirror: true pad: 2 ",
            "mirror: true resize_shorter_min: 26 resize_shorter_max: 38 color_std: 0.1 ", 1);
    replace("backend: CIFAR10", "backend: FOLDER", 2);
    replace("source: '" + dir_.path() + "'", "source: '" + (dir_ / "images") + "'", 2);
    return text;
  }
  RunOptions options(bool pixels, DType math = DType::f32) const {
    return {.backend = GetParam(), .pixels = pixels, .math = math};
  }
  static std::string way(TrainRun& run) {
    return run.train.ways(run.net, run.net.session(TRAIN)).at(0);
  }

  ScratchDirectory dir_;
};

constexpr const char* kSolver =
    "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.001 max_iter: 12 window: 4 "
    "random_seed: 5 test_interval: 5 snapshot: 7 ";
constexpr const char* kPixels = "8-bit pixels, normalised on the device";

// The input after each of some batches.
std::vector<HostArray> inputs(TrainRun& run) {
  std::vector<HostArray> all;
  for (int i = 0; i < 6; ++i) {
    Session& session = run.net.session(TRAIN);
    run.train.fill(run.net, session);
    run.net.forward(session);
    all.push_back(run.net.read(session, "data"));
  }
  return all;
}

TEST_P(PixelTraining, FeedsWhatTheHostWouldFeed) {
  TrainRun host(kSolver, net(), dir_ / "host");
  TrainRun floats(kSolver, net(), dir_ / "floats", options(false));
  TrainRun pixels(kSolver, net(), dir_ / "pixels", options(true));
  EXPECT_EQ(way(host), "floats");
  EXPECT_EQ(way(floats), "floats");
  EXPECT_EQ(way(pixels), kPixels);
  const std::vector<HostArray> wanted = inputs(host);
  expect_equal(inputs(floats), wanted);
  expect_equal(inputs(pixels), wanted);
}

TEST_P(PixelTraining, TrainsToTheSameBits) {
  for (const DType math : {DType::f32, DType::bf16, DType::f16}) {
    SCOPED_TRACE(name_of(math));
    TrainRun floats(kSolver, net(), dir_ / "floats", options(false, math));
    TrainRun pixels(kSolver, net(), dir_ / "pixels", options(true, math));
    ASSERT_EQ(floats.solver.run(), Solver::Outcome::finished);
    ASSERT_EQ(pixels.solver.run(), Solver::Outcome::finished);
    expect_equal(pixels.weights(), floats.weights());
    for (size_t i = 0; i < floats.recorder.steps.size(); ++i) {
      EXPECT_EQ(pixels.recorder.steps[i].loss, floats.recorder.steps[i].loss);
    }
    for (size_t i = 0; i < floats.recorder.tests.size(); ++i) {
      EXPECT_EQ(pixels.recorder.tests[i].error, floats.recorder.tests[i].error);
    }
    TrainRun unrecorded(
        kSolver, net(), dir_ / "unrecorded",
        {.backend = GetParam(), .loader_threads = 2, .record = false, .math = math});
    ASSERT_EQ(unrecorded.solver.run(), Solver::Outcome::finished);
    expect_equal(unrecorded.weights(), floats.weights());
  }
}

TEST_P(PixelTraining, ResumesBitByBit) {
  TrainRun whole(kSolver, net(), dir_ / "whole", options(true));
  ASSERT_EQ(whole.solver.run(), Solver::Outcome::finished);
  TrainRun rest(kSolver, net(), dir_ / "rest", options(true));
  rest.resume(snapshot_paths(dir_ / "whole", 7).state);
  ASSERT_EQ(rest.solver.run(), Solver::Outcome::finished);
  EXPECT_EQ(way(rest), kPixels);
  expect_equal(rest.weights(), whole.weights());
  EXPECT_EQ(read_file(snapshot_paths(dir_ / "rest", 12).model),
            read_file(snapshot_paths(dir_ / "whole", 12).model));
}

TEST_P(PixelTraining, SplitsIntoShards) {
  RunOptions split = options(true);
  split.shards = 4;
  TrainRun pixels(kSolver, net(), dir_ / "pixels", split);
  split.pixels = false;
  TrainRun floats(kSolver, net(), dir_ / "floats", split);
  ASSERT_EQ(pixels.solver.run(), Solver::Outcome::finished);
  ASSERT_EQ(floats.solver.run(), Solver::Outcome::finished);
  expect_equal(pixels.weights(), floats.weights());
}

TEST_P(PixelTraining, NamesTheRecordsOfALossThatIsNotFinite) {
  const std::string solver = changed(kSolver, "base_lr: 1e30 test_interval: 0 snapshot: 0");
  TrainRun pixels(solver, net(), dir_ / "pixels", options(true));
  TrainRun floats(solver, net(), dir_ / "floats", options(false));
  EXPECT_THROW(pixels.solver.run(), NonFiniteError);
  EXPECT_THROW(floats.solver.run(), NonFiniteError);
  EXPECT_EQ(pixels.recorder.stops.back().message, floats.recorder.stops.back().message);
}

// Who brings the input writes it as the first convolution reads it: no step changes layout or type.
TEST_P(PixelTraining, WritesTheInputAsItsReaderWantsIt) {
  for (const DType math : {DType::f32, DType::bf16, DType::f16}) {
    TrainRun run(kSolver, net(), dir_ / "run", options(true, math));
    const Program& program = run.net.program(run.net.session(TRAIN));
    const ValueId data = program.graph.inputs.at(0).value;
    ASSERT_EQ(program.graph.value(data).name, "data");
    EXPECT_EQ(program.graph.value(data).desc.dtype, math);
    EXPECT_EQ(program.graph.value(data).desc.layout, Layout::nhwc());
    for (const Node& node : program.graph.nodes) {
      EXPECT_FALSE(std::holds_alternative<Reorder>(node.op) && node.in.at(0) == data);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, PixelTraining, ::testing::ValuesIn(devices()),
                         [](const auto& info) {
                           return std::string(info.param == "cuda" ? "gpu" : "emulated");
                         });

}  // namespace
}  // namespace resnet::testing
