// `resnet train` killed at random moments, half of them inside a snapshot, and resumed: the files of the
// run that never stopped. Also what the process says and returns.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <random>
#include <thread>

#include "resnet/io/files.h"
#include "train/train_run.h"

extern char** environ;

namespace resnet::testing {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A child that runs `resnet train` on one thread, its log in a file.
class Child {
 public:
  Child(const std::string& dir, std::vector<std::string> flags, const std::string& crash = "")
      : log_(dir + "/log") {
    flags.insert(flags.begin(), {"resnet", "train", "--solver=" + dir + "/solver.prototxt",
                                 "--threads=1", "--bind=none"});
    std::vector<std::string> variables;
    if (!crash.empty()) variables.push_back("RESNET_TEST_CRASH=" + crash);
    for (char** entry = environ; *entry != nullptr; ++entry) variables.emplace_back(*entry);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, log_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    const int failed = posix_spawn(&pid_, RESNET_TOOL, &actions, nullptr, pointers(flags).data(),
                                   pointers(variables).data());
    posix_spawn_file_actions_destroy(&actions);
    if (failed) throw DataError(std::string("cannot start ") + RESNET_TOOL);
  }

  void send(int signal) const { kill(pid_, signal); }

  // Exit code, or minus the signal that ended it.
  int wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::string log() const { return read_file(log_); }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> list;
    for (std::string& text : texts) list.push_back(text.data());
    list.push_back(nullptr);
    return list;
  }

  std::string log_;
  pid_t pid_ = 0;
};

// A folder with data, net and solver.
struct Workplace {
  explicit Workplace(const std::string& solver_fields) {
    write_small_cifar(dir.path());
    write_text(dir / "net.prototxt", small_train_net(dir.path()));
    write_text(dir / "solver.prototxt",
               changed(kSmallSolver, "net: 'net.prototxt' snapshot_prefix: '" + (dir / "run") +
                                         "' display: 50 " + solver_fields));
  }
  void clear() const {
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      if (entry.path().filename().string().starts_with("run")) std::filesystem::remove(entry);
    }
  }
  SnapshotPaths at(int64_t iteration) const { return snapshot_paths(dir / "run", iteration); }

  ScratchDirectory dir;
};

TEST(KillAndResume, EndsAsIfNeverKilled) {
  constexpr int kIterations = 60, kKills = 24;
  const Workplace place(
      "max_iter: 60 snapshot: 4 keep_snapshots: 2 keep_best: true "
      "test_interval: 6 stepvalue: 30 average_loss: 5");
  const std::string& dir = place.dir.path();
  const auto start = Clock::now();
  ASSERT_EQ(Child(dir, {}).wait(), 0) << read_file(dir + "/log");
  const double duration = seconds_since(start);
  const std::string model = read_file(place.at(kIterations).model);
  const std::string state = read_file(place.at(kIterations).state);

  const char* given = std::getenv("RESNET_TEST_SEED");
  const unsigned seed = given ? static_cast<unsigned>(std::stoul(given)) : std::random_device()();
  std::cout << "RESNET_TEST_SEED=" << seed << " repeats these kills\n";
  std::mt19937 random(seed);
  const std::vector<std::string> points = {"half_written", "written", "synced", "renamed", "done"};
  int kills = 0, in_snapshots = 0, series = 0;
  while (kills < kKills) {
    place.clear();
    const std::string loaders = "--loader_threads=" + std::to_string(series++ % 3);
    for (int finished = 0, attempts = 0; !finished; ++attempts) {
      ASSERT_LT(attempts, 200);
      const bool in_snapshot = random() % 2 == 0;
      const double delay = std::uniform_real_distribution<>(0, duration)(random);
      const std::string point = std::string(random() % 2 ? "model" : "state") + "_" +
                                points[random() % points.size()] + ":" +
                                std::to_string(1 + random() % 3);
      const bool enough = kills >= kKills;
      const Child child(dir, {"--snapshot=auto", loaders}, in_snapshot && !enough ? point : "");
      if (!in_snapshot && !enough) {
        std::this_thread::sleep_for(std::chrono::duration<double>(delay));
        child.send(SIGKILL);
      }
      const int code = child.wait();
      if (code == -SIGKILL) {
        ++kills;
        in_snapshots += in_snapshot;
      } else {
        ASSERT_EQ(code, 0) << child.log();
        finished = 1;
      }
    }
    ASSERT_EQ(read_file(place.at(kIterations).model), model) << "series " << series;
    ASSERT_EQ(read_file(place.at(kIterations).state), state) << "series " << series;
  }
  std::cout << kills << " kills, " << in_snapshots << " of them inside snapshots, in " << series
            << " runs of " << duration << " s\n";
  EXPECT_GE(in_snapshots, kKills / 4);
}

TEST(Process, StopsOnASignalAndGoesOn) {
  const Workplace place("max_iter: 2000 test_interval: 0");
  const std::string& dir = place.dir.path();
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    place.clear();
    const Child child(dir, {"--snapshot=auto"});
    const auto start = Clock::now();
    while (child.log().find("Solving") == std::string::npos && seconds_since(start) < 60) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    child.send(signal);
    EXPECT_EQ(child.wait(), 75) << child.log();
    EXPECT_NE(child.log().find("Optimization stopped early."), std::string::npos);
    std::vector<std::string> notes;
    const auto latest = find_latest(dir + "/run", &notes);
    ASSERT_TRUE(latest);
    EXPECT_LT(latest->state.iter(), 2000);
  }
  const Child rest(dir, {"--snapshot=auto", "--max_iter=10"});
  EXPECT_EQ(rest.wait(), 0);
  EXPECT_NE(rest.log().find("Resumed from"), std::string::npos);
}

TEST(Process, NonFiniteLossExitsWith5AndKeepsTheLastSnapshot) {
  const Workplace place(
      "max_iter: 500 snapshot: 1 base_lr: 1e30 lr_policy: 'fixed' test_interval: 0");
  const Child child(place.dir.path(), {});
  EXPECT_EQ(child.wait(), 5) << child.log();
  const std::string log = child.log();
  const bool named = log.find("the loss is") != std::string::npos ||
                     log.find("are not finite") != std::string::npos;
  EXPECT_TRUE(named) << log;
  std::vector<std::string> notes;
  find_latest(place.dir / "run", &notes);
  EXPECT_TRUE(notes.empty()) << "no damaged pair: " << notes[0];
}

TEST(Process, DryRunSaysThatAllIsFine) {
  const Workplace place("max_iter: 5");
  const Child child(place.dir.path(), {"--dry_run"});
  EXPECT_EQ(child.wait(), 0) << child.log();
  EXPECT_NE(child.log().find("Dry run"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(place.dir / "run.log.jsonl"));
}

TEST(Process, WeightsAndSnapshotExcludeEachOther) {
  const Workplace place("max_iter: 5");
  const Child child(place.dir.path(), {"--snapshot=auto", "--weights=x.caffemodel"});
  EXPECT_EQ(child.wait(), 2) << child.log();
}

TEST(Process, ProblemsOfTextAndNetComeTogether) {
  const Workplace place("max_iter: 5");
  std::string net = small_train_net(place.dir.path());
  net.replace(net.find("num_output: 4"), 13, "num_outputs: 4 num_output: 4");
  net.replace(net.find("type: 'Dropout'"), 15, "type: 'Dropot'");
  write_text(place.dir / "net.prototxt", net);
  const Child child(place.dir.path(), {});
  EXPECT_EQ(child.wait(), 2);
  EXPECT_NE(child.log().find("num_outputs"), std::string::npos) << child.log();
  EXPECT_NE(child.log().find("Dropot"), std::string::npos) << child.log();
}

}  // namespace
}  // namespace resnet::testing
