// Snapshots and weights that are missing, damaged or another net's, and disks that are full: one line, the
// right exit code, and the last good snapshot still there.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "cli/tool.h"

namespace resnet::test {
namespace {

constexpr char kState2[] = "snap/tiny_iter_2.solverstate";
constexpr char kModel2[] = "snap/tiny_iter_2.caffemodel";
constexpr char kState4[] = "snap/tiny_iter_4.solverstate";
constexpr char kModel4[] = "snap/tiny_iter_4.caffemodel";

// Training has run once to its end.
class BadSnapshot : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(files_.train().code, 0); }

  void truncate(const std::string& name) const {
    const std::string bytes = files_.read(name);
    files_.write(name, bytes.substr(0, bytes.size() * 2 / 3));
  }

  // Bytes of the good snapshot of iteration 2.
  std::string good() const { return files_.read(kModel2) + files_.read(kState2); }

  Workspace files_;
};

TEST_F(BadSnapshot, Missing) {
  expect_failure(files_.train({"--snapshot=snap/none.solverstate"}), 3, {"snap/none.solverstate"});
}

TEST_F(BadSnapshot, ModelOfTheSnapshotIsMissing) {
  std::filesystem::remove(files_.path(kModel2));
  expect_failure(files_.train({std::string("--snapshot=") + kState2}), 3,
                 {"tiny_iter_2.caffemodel"});
}

TEST_F(BadSnapshot, TruncatedState) {
  truncate(kState2);
  expect_failure(files_.train({std::string("--snapshot=") + kState2}), 3, {kState2});
}

TEST_F(BadSnapshot, TruncatedModel) {
  truncate(kModel2);
  expect_failure(files_.train({std::string("--snapshot=") + kState2}), 3, {kModel2});
}

TEST_F(BadSnapshot, ModelOfAnotherSnapshot) {
  std::filesystem::copy_file(files_.path(kModel4), files_.path(kModel2),
                             std::filesystem::copy_options::overwrite_existing);
  expect_failure(files_.train({std::string("--snapshot=") + kState2}), 3,
                 {"tiny_iter_2.caffemodel"});
}

TEST_F(BadSnapshot, OfAnotherNet) {
  files_.replace("net.prototxt", "num_output: 4 ", "num_output: 5 ");
  const RunResult result = files_.train({std::string("--snapshot=") + kState2});
  EXPECT_TRUE(result.code == 3 || result.code == 2) << result.code;
  EXPECT_EQ(result.complaints().size(), 1U) << result.err;
}

TEST_F(BadSnapshot, OfAnotherProgram) {
  files_.write("snap/other.solverstate", "PK\x03\x04 an archive");
  expect_failure(files_.train({"--snapshot=snap/other.solverstate"}), 3,
                 {"snap/other.solverstate"});
  expect_failure(files_.train({"--snapshot=net.prototxt"}), 3, {"net.prototxt"});
}

TEST_F(BadSnapshot, AutoTakesTheLastGoodOne) {
  truncate(kModel4);
  const RunResult result =
      files_.run({"train", "--solver=solver.prototxt", "--threads=1", "--snapshot=auto"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.complaints().empty()) << result.err;
  EXPECT_NE(result.err.find("tiny_iter_4"), std::string::npos) << "does not say what it skipped";
}

TEST_F(BadSnapshot, FlagsThatExcludeEachOther) {
  expect_failure(
      files_.train({std::string("--snapshot=") + kState2, std::string("--weights=") + kModel2}), 2,
      {"--weights", "--snapshot"});
}

TEST_F(BadSnapshot, WeightsOfAnotherNet) {
  const std::string before = good();
  files_.replace("deploy.prototxt", "num_output: 3", "num_output: 5");
  files_.replace("deploy.prototxt", "name: \"bn\"", "name: \"norm\"");
  files_.write_image("red.ppm", 8, 8, 255, 0, 0);
  const std::vector<std::string> predict = {"predict", "--model=deploy.prototxt",
                                            std::string("--weights=") + kModel4, "red.ppm"};
  expect_failure(files_.run(predict), 3,
                 {kModel4, "matched", "3 missing", "norm/mean", "of another shape", "fc/weight",
                  "(3,4)", "(5,4)", "unused: bn", "--allow_missing"});

  std::vector<std::string> allowed = predict;
  allowed.push_back("--allow_missing");
  const RunResult result = files_.run(allowed);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.err.find("3 missing"), std::string::npos) << result.err;

  // Weights with which nothing matches are refused always.
  files_.write("other.prototxt",
               "layer { name: \"data\" type: \"Input\" top: \"data\" "
               "input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n"
               "layer { name: \"ip\" type: \"InnerProduct\" bottom: \"data\" top: \"ip\" "
               "inner_product_param { num_output: 3 } }\n");
  allowed[1] = "--model=other.prototxt";
  expect_failure(files_.run(allowed), 3, {kModel4, "0 blobs matched"});
  EXPECT_EQ(good(), before);
}

TEST_F(BadSnapshot, DamagedWeights) {
  truncate(kModel4);
  files_.write("text.caffemodel", "no weights");
  const auto test = [&](const std::string& weights) {
    return files_.run({"test", "--quiet", "--model=net.prototxt", "--weights=" + weights});
  };
  expect_failure(test(kModel4), 3, {kModel4});
  expect_failure(test("text.caffemodel"), 3, {"text.caffemodel"});
  expect_failure(test("none.caffemodel"), 3, {"none.caffemodel"});
  expect_failure(test("snap"), 3, {"snap"});
}

TEST_F(BadSnapshot, FolderThatCannotBeWritten) {
  const std::string before = good();
  files_.replace("solver.prototxt", "snap/tiny", "net.prototxt/tiny");
  expect_failure(files_.train(), 3, {"net.prototxt"});
  if (geteuid() != 0) {  // root may write everywhere
    files_.replace("solver.prototxt", "net.prototxt/tiny", "snap/tiny");
    chmod(files_.path("snap").c_str(), 0555);
    expect_failure(files_.train(), 3, {"snap"});
    chmod(files_.path("snap").c_str(), 0755);
  }
  EXPECT_EQ(good(), before);
}

// As long as the good snapshot, so that the next one, which is as large, does not fit.
TEST_F(BadSnapshot, FileThatMayNotGrow) {
  const std::string before = good();
  std::filesystem::remove(files_.path(kModel4));
  std::filesystem::remove(files_.path(kState4));
  const auto limit = static_cast<int64_t>(files_.read(kModel2).size()) - 1;
  const RunResult result =
      files_.train({std::string("--snapshot=") + kState2}, {.file_size_limit = limit});
  expect_failure(result, 3, {"tiny_iter_4"});
  EXPECT_FALSE(files_.has(kModel4));
  EXPECT_EQ(good(), before);
  EXPECT_EQ(files_.train({"--snapshot=auto"}).code, 0);
  EXPECT_TRUE(files_.has(kModel4));
}

// A file system of its own, which only this process and its children see.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path, const std::string& size) : path_(path) {
    std::filesystem::create_directory(path);
    mounted_ = unshare(CLONE_NEWNS) == 0 &&
               mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               mount("tmpfs", path.c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  std::string path_;
  bool mounted_ = false;
};

bool has_state(const std::string& folder) {
  const std::filesystem::directory_iterator files(folder);
  return std::any_of(begin(files), end(files),
                     [](const auto& file) { return file.path().extension() == ".solverstate"; });
}

// While a run writes a snapshot after every iteration, someone else fills the disk.
TEST_F(BadSnapshot, DiskThatIsFull) {
  const SmallDisk disk(files_.path("disk"), "2m");
  if (!disk.mounted()) GTEST_SKIP() << "no right to mount a file system here";
  files_.replace("solver.prototxt", "snap/tiny", "disk/tiny");
  files_.replace("solver.prototxt", "snapshot: 2", "snapshot: 1 keep_snapshots: 2");
  const RunResult result = files_.train({"--max_iter=100000"}, {}, [&] {
    if (!has_state(files_.path("disk")) && !files_.has("disk/filler")) return;
    std::ofstream(files_.path("disk/filler"), std::ios::app) << std::string(4096, 'x');
  });
  expect_failure(result, 3, {"disk/tiny_iter_"});

  std::filesystem::remove(files_.path("disk/filler"));
  const RunResult resumed = files_.run({"train", "--solver=solver.prototxt", "--threads=1",
                                        "--snapshot=auto", "--dry_run", "--max_iter=100000"});
  EXPECT_EQ(resumed.code, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("disk/tiny_iter_"), std::string::npos) << resumed.err;
  EXPECT_EQ(resumed.err.find("starting from the beginning"), std::string::npos) << resumed.err;
}

TEST_F(BadSnapshot, OutputsOfOtherCommands) {
  const std::vector<std::string> net = {"--quiet", "--model=net.prototxt",
                                        std::string("--weights=") + kModel4};
  const auto run = [&](std::vector<std::string> arguments, const RunOptions& options = {}) {
    arguments.insert(arguments.begin() + 1, net.begin(), net.end());
    return files_.run(arguments, options);
  };
  expect_failure(run({"bn-stats", "--iterations=2", "--output=net.prototxt/x"}), 3,
                 {"net.prototxt/x"});
  expect_failure(
      run({"bn-stats", "--iterations=2", "--output=new.caffemodel"}, {.file_size_limit = 100}), 3,
      {"new.caffemodel"});
  EXPECT_FALSE(files_.has("new.caffemodel"));
  expect_failure(run({"extract", "--blobs=conv", "--output=out"}, {.file_size_limit = 100}), 3,
                 {"conv.npy"});
  EXPECT_FALSE(files_.has("out/conv.npy"));
  EXPECT_FALSE(files_.has("out/conv.npy.tmp"));
}

}  // namespace
}  // namespace resnet::test
