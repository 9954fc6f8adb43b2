#include "resnet/io/snapshot.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "io/io_test_util.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

using testing::error_of;
using testing::ScratchDirectory;
using testing::shared_dir;

constexpr uint64_t kRun = 4711;

NetParameter net_of(float value) {
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("fc");
  set_blob(layer->add_blobs(), {3}, std::vector<float>{value, 2, 3});
  return net;
}

SnapshotPaths write(const std::string& prefix, int iter, uint64_t run = kRun) {
  SolverState state;
  state.set_iter(iter);
  state.set_seed(9);
  set_blob(state.add_history(), {3}, std::vector<float>{0, 1, 2});
  return write_snapshot(prefix, net_of(static_cast<float>(iter)), &state, run);
}

std::vector<std::string> names_in(const std::string& dir) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool contains(const std::vector<std::string>& lines, const std::string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& l) { return l.find(part) != std::string::npos; });
}

TEST(Snapshot, WritesAPairAndReadsItBack) {
  const ScratchDirectory dir;
  const SnapshotPaths paths = write(dir / "net", 100);
  EXPECT_EQ(paths.state, dir / "net_iter_100.solverstate");
  EXPECT_EQ(paths.model, dir / "net_iter_100.caffemodel");
  const LoadedState loaded = read_solverstate(paths.state);
  EXPECT_TRUE(loaded.ours);
  EXPECT_EQ(loaded.run_id, kRun);
  EXPECT_EQ(loaded.state.iter(), 100);
  EXPECT_EQ(loaded.state.seed(), 9u);
  EXPECT_EQ(loaded.state.learned_net(), "net_iter_100.caffemodel");
  EXPECT_EQ(loaded.model_path, paths.model);
  EXPECT_EQ(read_caffemodel(loaded.model_path).checksum, loaded.state.model_checksum());
}

TEST(Snapshot, APairMovesTogether) {
  const ScratchDirectory dir;
  write(dir / "net", 5);
  std::filesystem::create_directory(dir / "moved");
  for (const char* name : {"net_iter_5.caffemodel", "net_iter_5.solverstate"}) {
    std::filesystem::rename(dir / name, dir / (std::string("moved/") + name));
  }
  EXPECT_EQ(read_solverstate(dir / "moved/net_iter_5.solverstate").model_path,
            dir / "moved/net_iter_5.caffemodel");
}

TEST(Snapshot, TruncationAtEveryByteAndEveryFlippedBitAreErrors) {
  const ScratchDirectory dir;
  const SnapshotPaths paths = write(dir / "net", 5);
  for (const std::string& path : {paths.model, paths.state}) {
    const std::string good = read_file(path);
    std::string bytes = good;
    for (size_t n = 0; n < good.size(); ++n) {
      testing::write_text(path, good.substr(0, n));
      EXPECT_NE(error_of<DataError>([&] { read_solverstate(paths.state); }), "") << path << n;
      bytes[n] = static_cast<char>(bytes[n] ^ (1 << n % 8));
      testing::write_text(path, bytes);
      EXPECT_NE(error_of<DataError>([&] { read_solverstate(paths.state); }), "") << path << n;
      bytes[n] = good[n];
    }
    testing::write_text(path, good);
  }
  read_solverstate(paths.state);
}

TEST(Snapshot, TheModelMustBeThereAndTheRightOne) {
  const ScratchDirectory dir;
  const SnapshotPaths a = write(dir / "net", 1);
  const SnapshotPaths b = write(dir / "net", 2);
  std::filesystem::copy_file(b.model, a.model, std::filesystem::copy_options::overwrite_existing);
  EXPECT_NE(error_of<DataError>([&] { read_solverstate(a.state); }).find("another checksum"),
            std::string::npos);
  std::filesystem::remove(a.model);
  const std::string error = error_of<DataError>([&] { read_solverstate(a.state); });
  EXPECT_NE(error.find("its weight file must lie beside it"), std::string::npos) << error;
}

TEST(Snapshot, ExchangedFilesAreNamed) {
  const ScratchDirectory dir;
  const SnapshotPaths a = write(dir / "net", 1);
  EXPECT_NE(error_of<DataError>([&] { read_solverstate(a.model); }).find("this is a weight file"),
            std::string::npos);
  EXPECT_NE(error_of<DataError>([&] { read_caffemodel(a.state); }).find("this is a solver state"),
            std::string::npos);
}

TEST(Snapshot, LatestIsTheNewestPairThatVerifies) {
  const ScratchDirectory dir;
  std::vector<std::string> notes;
  EXPECT_FALSE(find_latest(dir / "net", &notes));
  EXPECT_FALSE(find_latest(dir / "nowhere/net", &notes));
  EXPECT_TRUE(notes.empty());
  for (int iter : {8, 9, 10, 100}) write(dir / "net", iter);
  write(dir / "net2", 5000);
  testing::write_text(dir / "net_iter_x.solverstate", "");
  EXPECT_EQ(find_latest(dir / "net", &notes)->state.iter(), 100);
  EXPECT_TRUE(notes.empty());

  testing::write_text(dir / "net_iter_100.caffemodel", "garbage");
  std::filesystem::remove(dir / "net_iter_10.caffemodel");
  testing::write_text(dir / "net_iter_200.caffemodel", "without a state");
  testing::write_text(dir / "net_iter_300.caffemodel.tmp", "half");
  const auto latest = find_latest(dir / "net", &notes);
  ASSERT_TRUE(latest);
  EXPECT_EQ(latest->state.iter(), 9);
  ASSERT_EQ(notes.size(), 4u);
  EXPECT_TRUE(contains(notes, "net_iter_300.caffemodel.tmp: a snapshot that was interrupted"));
  EXPECT_TRUE(
      contains(notes, "skipped " + dir / "net_iter_200.caffemodel: it has no .solverstate"));
  EXPECT_TRUE(contains(notes, "skipped " + dir / "net_iter_100.solverstate"));
  EXPECT_TRUE(contains(notes, "skipped " + dir / "net_iter_10.solverstate"));
}

TEST(Snapshot, ALaterRunUnderTheSamePrefixIsMentioned) {
  const ScratchDirectory dir;
  const SnapshotPaths old = write(dir / "net", 500, 1);
  write(dir / "net", 100, 2);
  std::filesystem::last_write_time(
      old.state, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
  std::vector<std::string> notes;
  EXPECT_EQ(find_latest(dir / "net", &notes)->state.iter(), 500);
  EXPECT_TRUE(contains(notes, "net_iter_100.solverstate was written later, by another run"));
}

TEST(Snapshot, KeepsTheLastNAndTheBest) {
  const ScratchDirectory dir;
  write(dir / "net", 900, 1);  // of an older run: not ours to remove
  for (int iter : {10, 20, 30, 40}) write(dir / "net", iter);
  testing::write_text(dir / "net_iter_25.solverstate.tmp", "half");
  EXPECT_EQ(remove_old_snapshots(dir / "net", 40, 0, -1, kRun).size(), 1u);  // the leftover only
  const std::vector<std::string> lines = remove_old_snapshots(dir / "net", 40, 2, 10, kRun);
  EXPECT_EQ(lines.size(), 1u);
  EXPECT_TRUE(contains(lines, "net_iter_20"));
  const std::vector<std::string> expected = {"net_iter_10.caffemodel",  "net_iter_10.solverstate",
                                             "net_iter_30.caffemodel",  "net_iter_30.solverstate",
                                             "net_iter_40.caffemodel",  "net_iter_40.solverstate",
                                             "net_iter_900.caffemodel", "net_iter_900.solverstate"};
  EXPECT_EQ(names_in(dir.path()), expected);
}

TEST(Snapshot, TheOnlyPairThatVerifiesIsNeverRemoved) {
  const ScratchDirectory dir;
  write(dir / "net", 10);
  const SnapshotPaths newest = write(dir / "net", 20);
  testing::write_text(newest.model, "damaged");
  EXPECT_TRUE(contains(remove_old_snapshots(dir / "net", 20, 1, -1, kRun), "kept all"));
  std::vector<std::string> notes;
  EXPECT_EQ(find_latest(dir / "net", &notes)->state.iter(), 10);
}

// Stops the process at every point of a snapshot: the earlier pair stays, and the new one is there
// only when it is whole.
TEST(Snapshot, AKillAtAnyPointLeavesAPairThatVerifies) {
  for (const std::string file : {"model", "state"}) {
    for (const std::string step : {"half_written", "written", "synced", "renamed", "done"}) {
      const ScratchDirectory dir;
      const std::string crash = std::string(file).append("_").append(step).append(":1");
      write(dir / "net", 10);
      const std::string before = read_file(dir / "net_iter_10.caffemodel");
      const pid_t child = ::fork();
      if (child == 0) {
        ::setenv("RESNET_TEST_CRASH", crash.c_str(), 1);
        write(dir / "net", 20);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << file << step;
      std::vector<std::string> notes;
      const auto latest = find_latest(dir / "net", &notes);
      ASSERT_TRUE(latest);
      const bool whole = file == "state" && (step == "renamed" || step == "done");
      EXPECT_EQ(latest->state.iter(), whole ? 20 : 10) << file << step;
      EXPECT_EQ(notes.empty(), whole);
      EXPECT_EQ(read_file(dir / "net_iter_10.caffemodel"), before);
    }
  }
}

TEST(Snapshot, AFullDiskLeavesTheEarlierPair) {
  const ScratchDirectory dir;
  write(dir / "net", 10);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit limit{20, 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write(dir / "net", 20);
    } catch (const DataError&) {
      ::_exit(3);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 3);
  EXPECT_EQ(names_in(dir.path()),
            (std::vector<std::string>{"net_iter_10.caffemodel", "net_iter_10.solverstate"}));
  read_solverstate(dir / "net_iter_10.solverstate");
}

TEST(Snapshot, ReadsWhatCaffeWrote) {
  const std::string dir = shared_dir() + "/caffe/train/snap/";
  RESNET_NEEDS_FILE(dir + "main_iter_50.solverstate");
  const LoadedState loaded = read_solverstate(dir + "main_iter_50.solverstate");
  EXPECT_FALSE(loaded.ours);
  EXPECT_EQ(loaded.notes.size(), 1u);
  EXPECT_EQ(loaded.state.iter(), 50);
  EXPECT_EQ(loaded.state.current_step(), 2);
  EXPECT_EQ(base_name(loaded.model_path), "main_iter_50.caffemodel");
  const WeightSet weights = read_caffemodel(loaded.model_path);
  ASSERT_EQ(static_cast<size_t>(loaded.state.history_size()), weights.blobs.size());
  for (int i = 0; i < loaded.state.history_size(); ++i) {
    const std::vector<float> momentum = blob_values(loaded.state.history(i), "history");
    EXPECT_EQ(momentum.size(), weights.blobs[static_cast<size_t>(i)].data.size());
  }
  std::vector<std::string> notes;
  EXPECT_EQ(find_latest(dir + "main", &notes)->state.iter(), 50);
  EXPECT_NE(error_of<DataError>([&] {
              read_caffemodel(dir + "main_iter_50.solverstate");
            }).find("this is a solver state"),
            std::string::npos);
  EXPECT_NE(error_of<DataError>([&] {
              read_solverstate(dir + "main_iter_50.caffemodel");
            }).find("this is a weight file"),
            std::string::npos);
}

}  // namespace
}  // namespace resnet
