// One process with four shards equals, byte by byte, two processes that exchange their sums by file.
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <thread>

#include "resnet/io/files.h"
#include "train/train_run.h"

extern char** environ;

namespace resnet::testing {
namespace {

constexpr const char* kWorkerVariable = "RESNET_TEST_SHARD_WORKER";  // "RANK DIRECTORY"

// Sums of two processes through files "ROUND_RANK": the lower half of the shards is the left child.
class FileExchange : public ShardExchange {
 public:
  FileExchange(std::string dir, int rank) : dir_(std::move(dir)), rank_(rank) {}

  void combine(std::span<float> data) override {
    const std::string name = dir_ + "/" + std::to_string(round_++) + "_";
    const auto* bytes = reinterpret_cast<const char*>(data.data());
    const size_t size = data.size() * sizeof(float);
    write_file_atomic(name + std::to_string(rank_), {std::string_view(bytes, size)});
    const std::string other = name + std::to_string(1 - rank_);
    using namespace std::chrono_literals;
    for (int tries = 0; !std::filesystem::exists(other); ++tries) {
      if (tries > 60000) throw DataError("the other process does not answer");
      std::this_thread::sleep_for(1ms);
    }
    const std::string theirs = read_file(other);
    if (theirs.size() != size) throw DataError("the other process sums something else");
    const auto* values = reinterpret_cast<const float*>(theirs.data());
    for (size_t i = 0; i < data.size(); ++i) {
      data[i] = rank_ == 0 ? data[i] + values[i] : values[i] + data[i];
    }
  }

 private:
  std::string dir_;
  int rank_, round_ = 0;
};

// With an ignored label, so that the normaliser is exchanged too.
std::string sharded_net(const std::string& dir) {
  std::string net = small_train_net(dir);
  const std::string loss = "type: 'SoftmaxWithLoss'";
  net.replace(net.find(loss), loss.size(), loss + " loss_param { ignore_label: 3 }");
  return net;
}

const std::string kSolver = changed(kSmallSolver, "max_iter: 6 iter_size: 2 test_interval: 0");

TEST(ShardWorker, RunsHalfOfTheShards) {
  const char* task = std::getenv(kWorkerVariable);
  if (task == nullptr) GTEST_SKIP() << "runs as a process of Shards.TwoProcessesEqualOne";
  const int rank = task[0] - '0';
  const std::string dir = task + 2;
  TrainRun run(kSolver, sharded_net(dir), dir + "/worker" + std::to_string(rank),
               {.backend = "onednn", .shards = 4});
  FileExchange exchange(dir + "/exchange", rank);
  run.net.set_exchange(&exchange, 2 * rank, 2 * rank + 2);
  run.solver.run();
}

TEST(Shards, TwoProcessesEqualOne) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  std::filesystem::create_directory(dir / "exchange");
  std::vector<pid_t> workers;
  for (int rank = 0; rank < 2; ++rank) {
    const std::string task =
        std::string(kWorkerVariable) + "=" + std::to_string(rank) + " " + dir.path();
    std::vector<char*> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) environment.push_back(*entry);
    environment.push_back(const_cast<char*>(task.c_str()));
    environment.push_back(nullptr);
    const char* arguments[] = {"train_test", "--gtest_filter=ShardWorker.*", nullptr};
    pid_t pid = 0;
    ASSERT_EQ(posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr, const_cast<char**>(arguments),
                          environment.data()),
              0);
    workers.push_back(pid);
  }
  TrainRun whole(kSolver, sharded_net(dir.path()), dir / "whole",
                 {.backend = "onednn", .shards = 4});
  whole.solver.run();
  for (const pid_t worker : workers) {
    int status = 0;
    ASSERT_EQ(waitpid(worker, &status, 0), worker);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  const std::string model = read_file(snapshot_paths(dir / "whole", 6).model);
  EXPECT_EQ(read_file(snapshot_paths(dir / "worker0", 6).model), model);
  EXPECT_EQ(read_file(snapshot_paths(dir / "worker1", 6).model), model);
}

TEST(Shards, AreTheBatchUpToRounding) {
  ScratchDirectory dir;
  write_small_cifar(dir.path());
  // Without BatchNorm, whose statistics are per shard.
  std::string net =
      cifar_data_layer("TRAIN", dir.path(), "") + cifar_data_layer("TEST", dir.path(), "") +
      layer("fc", "InnerProduct", "data", "fc",
            "inner_product_param { num_output: 10 weight_filler { type: 'xavier' } }") +
      layer("loss", "SoftmaxWithLoss", "fc,label", "loss");
  const std::string solver = changed(kSmallSolver, "base_lr: 0.001 test_interval: 0");
  TrainRun one(solver, net, dir / "one");
  TrainRun four(solver, net, dir / "four", {.shards = 4});
  one.solver.run();
  four.solver.run();
  for (size_t i = 0; i < one.recorder.steps.size(); ++i) {
    EXPECT_NEAR(one.recorder.steps[i].loss, four.recorder.steps[i].loss,
                1e-5 * one.recorder.steps[i].loss);
  }
  EXPECT_EQ(four.recorder.start.shards, 4);
}

}  // namespace
}  // namespace resnet::testing
