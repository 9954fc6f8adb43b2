// Kernels that tuning chose are those of the resumed run.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "resnet/base/error.h"
#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "train/train_run.h"

namespace resnet::testing {
namespace {

class Tuning : public ::testing::Test {
 protected:
  Tuning() { write_small_cifar(dir_.path()); }

  // Both algorithms know the convolution of 32 channels.
  std::string net() const {
    return cifar_data_layer("TRAIN", dir_.path(), "shuffle: true ") +
           cifar_data_layer("TEST", dir_.path(), "") + conv("conv1", "data", 32, 3, 2) +
           norm("conv1") + relu("conv1") + conv("conv2", "conv1", 32, 3) + norm("conv2") +
           relu("conv2") +
           layer("pool", "Pooling", "conv2", "pool",
                 "pooling_param { pool: AVE global_pooling: true }") +
           layer("fc", "InnerProduct", "pool", "fc",
                 "inner_product_param { num_output: 10 weight_filler { type: 'msra' } }") +
           layer("loss", "SoftmaxWithLoss", "fc,label", "loss") +
           layer("accuracy", "Accuracy", "fc,label", "accuracy");
  }
  RunOptions with(bool tune, std::vector<std::string> choices = {}) const {
    RunOptions options{.backend = "onednn"};
    options.choosing = {.tune = tune, .cache_dir = dir_ / "cache", .choices = std::move(choices)};
    return options;
  }
  static std::vector<std::string> recorded(const std::string& state) {
    const LoadedState loaded = read_solverstate(state);
    return {loaded.state.kernel_choice().begin(), loaded.state.kernel_choice().end()};
  }
  // Makes tuning choose the algorithm that the rule does not, whatever is faster.
  void oppose(const std::vector<std::string>& rule) const {
    for (const auto& file : std::filesystem::directory_iterator(dir_ / "cache")) {
      if (file.path().extension() != ".txt") continue;
      std::ifstream in(file.path());
      std::string text, line;
      while (std::getline(in, line)) {
        const size_t name = line.find("\tjit");
        if (name != std::string::npos) {
          const std::string op = line.substr(0, line.find(" (", line.find(" (") + 1));
          const bool winograd = std::count_if(rule.begin(), rule.end(), [&](const auto& choice) {
            return choice.starts_with(op + ": jit_wino");
          });
          line = line.substr(0, name) + (winograd ? "\tjit:x" : "\tjit_wino_4x3:x") + "\t1";
        }
        text += line + "\n";
      }
      in.close();
      std::ofstream(file.path()) << text;
    }
  }

  ScratchDirectory dir_;
};

TEST_F(Tuning, AResumedRunHasTheSameKernelsWithoutTuning) {
  const std::string solver = changed(kSmallSolver, "snapshot: 4");
  TrainRun by_rule(solver, net(), dir_ / "rule", with(false));
  by_rule.solver.run();
  const auto rule = recorded(snapshot_paths(dir_ / "rule", 4).state);
  { const TrainRun fills_the_cache(solver, net(), dir_ / "first", with(true)); }
  if (!std::filesystem::exists(dir_ / "cache")) GTEST_SKIP() << "one algorithm only";
  oppose(rule);

  TrainRun whole(solver, net(), dir_ / "whole", with(true));
  ASSERT_EQ(whole.solver.run(), Solver::Outcome::finished);
  const std::string state = snapshot_paths(dir_ / "whole", 4).state;
  const auto tuned = recorded(state);
  ASSERT_NE(tuned, rule);
  // In the last digits.
  const auto weights = whole.weights(), others = by_rule.weights();
  EXPECT_NE(weights[0].data, others[0].data);

  std::filesystem::remove_all(dir_ / "cache");
  for (const bool tune : {false, true}) {
    TrainRun rest(solver, net(), dir_ / "rest", with(tune, tuned));
    rest.resume(state);
    ASSERT_EQ(rest.solver.run(), Solver::Outcome::finished);
    expect_equal(rest.weights(), weights);
    EXPECT_EQ(read_file(snapshot_paths(dir_ / "rest", 8).model),
              read_file(snapshot_paths(dir_ / "whole", 8).model));
  }
  // Without the record it would not be the same run.
  TrainRun unaware(solver, net(), dir_ / "unaware", with(false));
  EXPECT_ONE_LINE(error_of<DeviceError>([&] { unaware.resume(state); }), "other kernels",
                  "jit_wino_4x3", "jit:");
}

}  // namespace
}  // namespace resnet::testing
