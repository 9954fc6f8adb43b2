// Choices of kernels that outlive a process.
#include "resnet/backend/choices.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "resnet/base/error.h"

namespace resnet {
namespace {

namespace fs = std::filesystem;

class ChoicesTest : public ::testing::Test {
 protected:
  ChoicesTest() : folder_(::testing::TempDir() + "choices_" + std::to_string(getpid())) {
    fs::remove_all(folder_);
  }
  ~ChoicesTest() override { fs::remove_all(folder_); }

  fs::path file() const { return folder_ / "sub" / "a.txt"; }
  Choices::Log log() {
    return [this](const std::string& line) { log_.push_back(line); };
  }
  std::string text() const {
    std::ifstream in(file());
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const {
    fs::create_directories(file().parent_path());
    std::ofstream(file()) << text;
  }

  fs::path folder_;
  std::vector<std::string> log_;
};

TEST_F(ChoicesTest, AreKeptInTheFile) {
  {
    Choices choices(file(), log());
    EXPECT_FALSE(choices.find("conv a"));
    choices.add("conv a", {"eng3_k2=1", 12.5});
    choices.add("conv b", {"eng4", 7});
    choices.add("conv a", {"eng5", 3});
    EXPECT_EQ(choices.find("conv a"), (Choice{"eng5", 3}));
  }
  Choices again(file(), log());
  EXPECT_EQ(again.find("conv a"), (Choice{"eng5", 3}));
  EXPECT_EQ(again.find("conv b"), (Choice{"eng4", 7}));
  EXPECT_FALSE(again.find("conv"));
  EXPECT_EQ(text(), "resnet choices 1\nconv b\teng4\t7\nconv a\teng5\t3\n");
  EXPECT_TRUE(log_.empty());
}

TEST_F(ChoicesTest, WithoutAFileStayInMemory) {
  Choices choices;
  choices.add("a", {"x", 1});
  EXPECT_EQ(choices.find("a"), (Choice{"x", 1}));
}

TEST_F(ChoicesTest, OldOnesMakeRoom) {
  Choices choices(file(), log(), 3);
  for (const char* key : {"a", "b", "c", "a", "d"}) choices.add(key, {"x", 1});
  EXPECT_EQ(text(), "resnet choices 1\nc\tx\t1\na\tx\t1\nd\tx\t1\n");
}

TEST_F(ChoicesTest, DamagedLinesCostOneLineOfLog) {
  write(
      "resnet choices "
      "1\ngood\teng1\t2\nbad\n\teng1\t2\nbad\t\t2\nbad\teng1\tx\nbad\teng1\t-1\nbad\teng1\t2 ");
  Choices choices(file(), log());
  EXPECT_EQ(choices.find("good"), (Choice{"eng1", 2}));
  EXPECT_FALSE(choices.find("bad"));
  EXPECT_EQ(log_.size(), 1u);
  choices.add("new", {"eng2", 1});
  EXPECT_EQ(text(), "resnet choices 1\ngood\teng1\t2\nnew\teng2\t1\n");
  EXPECT_EQ(log_.size(), 1u);
}

TEST_F(ChoicesTest, AnotherFileIsReplaced) {
  write(std::string("\0\1garbage", 9));
  Choices choices(file(), log());
  EXPECT_FALSE(choices.find("a"));
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_NE(log_[0].find("is no file of kernel choices"), std::string::npos);
  choices.add("a", {"x", 1});
  EXPECT_EQ(text(), "resnet choices 1\na\tx\t1\n");
}

TEST_F(ChoicesTest, AFolderThatCannotBeWrittenDoesNotStopTheRun) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / "sub") << "a file where the folder should be";
  Choices choices(file(), log());
  choices.add("a", {"x", 1});
  choices.add("b", {"x", 1});
  EXPECT_EQ(choices.find("a"), (Choice{"x", 1}));
  ASSERT_EQ(log_.size(), 1u);
  EXPECT_NE(log_[0].find("cannot write"), std::string::npos);
}

TEST_F(ChoicesTest, RefuseWhatCannotBeWritten) {
  Choices choices(file());
  EXPECT_THROW(choices.add("a\tb", {"x", 1}), InternalError);
  EXPECT_THROW(choices.add("a", {"x y", 1}), InternalError);
  EXPECT_THROW(choices.add("", {"x", 1}), InternalError);
}

TEST_F(ChoicesTest, ProcessesAddToOneFile) {
  constexpr int kProcesses = 4, kEach = 25;
  for (int p = 0; p < kProcesses; ++p) {
    if (fork() == 0) {
      Choices choices(file());
      for (int i = 0; i < kEach; ++i) {
        choices.add(std::to_string(p) + " " + std::to_string(i), {"eng" + std::to_string(i), 1});
      }
      _exit(0);
    }
  }
  for (int p = 0; p < kProcesses; ++p) wait(nullptr);
  Choices choices(file(), log());
  for (int p = 0; p < kProcesses; ++p) {
    for (int i = 0; i < kEach; ++i) {
      EXPECT_TRUE(choices.find(std::to_string(p) + " " + std::to_string(i))) << p << " " << i;
    }
  }
  EXPECT_TRUE(log_.empty());
  for (const auto& entry : fs::directory_iterator(file().parent_path())) {
    EXPECT_NE(entry.path().extension(), ".part");
  }
}

TEST(ChoicesFolder, FollowsTheEnvironment) {
  const char* const home = std::getenv("HOME");
  const std::string old_home = home == nullptr ? "" : home;
  unsetenv("XDG_CACHE_HOME");
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(choices_folder(""), "/home/me/.cache/resnet");
  setenv("XDG_CACHE_HOME", "/cache", 1);
  EXPECT_EQ(choices_folder(""), "/cache/resnet");
  EXPECT_EQ(choices_folder("here"), "here");
  setenv("XDG_CACHE_HOME", "relative", 1);
  EXPECT_EQ(choices_folder(""), "/home/me/.cache/resnet");
  unsetenv("XDG_CACHE_HOME");
  unsetenv("HOME");
  EXPECT_EQ(choices_folder(""), "");
  if (home != nullptr) setenv("HOME", old_home.c_str(), 1);
}

TEST(ChoicesFile, HoldsNoOddCharacters) {
  EXPECT_EQ(choices_file("cudnn-NVIDIA H200-9.19.0"), "cudnn-NVIDIA_H200-9.19.0.txt");
  EXPECT_EQ(choices_file("a/../b"), "a_.._b.txt");
}

TEST(Recorded, GivesTheChoicesOfOneOp) {
  const std::vector<std::string> lines = {
      "BatchNorm forward (8,64,56,56): own",
      "Convolution forward k3x3 s1x1 p1x1 o64 (8,64,56,56): cudnn:eng1_k2=3",
      "Convolution forward k3x3 s1x1 p1x1 o64 bias relu (8,64,56,56): cudnn:eng2 own",
      "Convolution forward k3x3 s1x1 p1x1 o64 g2 (8,64,56,56): cudnn:eng3",
      "Convolution forward k3x3 s1x1 p1x1 o640 (8,64,56,56): cudnn:eng4",
      "Convolution forward k3x3 s1x1 p1x1 o64 (4,64,56,56): cudnn:eng5",
      "Convolution backward_data k3x3 s1x1 p1x1 o64 (8,64,56,56): cudnn:eng6,add",
      "Convolution forward k3x3 s1x1 p1x1 o64",
  };
  const std::string op = "Convolution forward k3x3 s1x1 p1x1 o64", shape = "(8,64,56,56)";
  EXPECT_EQ(recorded(lines, op, shape, "cudnn:"),
            (std::vector<std::string>{"cudnn:eng1_k2=3", "cudnn:eng2"}));
  EXPECT_EQ(recorded(lines, "Convolution backward_data k3x3 s1x1 p1x1 o64", shape, "cudnn:"),
            (std::vector<std::string>{"cudnn:eng6,add"}));
  EXPECT_TRUE(recorded(lines, op, "(1,1,1,1)", "cudnn:").empty());
  EXPECT_TRUE(recorded(lines, op, shape, "other:").empty());

  EXPECT_EQ(recorded(lines, op + " " + shape), std::vector<std::string>{"cudnn:eng1_k2=3"});
  EXPECT_EQ(recorded(lines, op + " bias relu " + shape),
            (std::vector<std::string>{"cudnn:eng2", "own"}));
  EXPECT_TRUE(recorded(lines, op).empty());
}

}  // namespace
}  // namespace resnet
