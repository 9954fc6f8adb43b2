#include "resnet/io/files.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "io/io_test_util.h"
#include "resnet/io/checksum.h"

namespace resnet {
namespace {

using testing::error_of;
using testing::ScratchDirectory;

// Runs `action` in a child process and returns its wait status.
template <class Action>
int in_child(Action&& action) {
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      action();
    } catch (const std::exception&) {
      ::_exit(3);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(Files, WritesAndReadsAllParts) {
  const ScratchDirectory dir;
  const std::string big(3 << 20, 'x');
  write_file_atomic(dir / "a", {"head", big, "", "tail"});
  EXPECT_EQ(read_file(dir / "a"), "head" + big + "tail");
  write_file_atomic(dir / "a", {});
  EXPECT_EQ(read_file(dir / "a"), "");
  EXPECT_FALSE(std::filesystem::exists(dir / "a.tmp"));
}

TEST(Files, ErrorsNameThePathAndTheReason) {
  const ScratchDirectory dir;
  EXPECT_EQ(error_of<DataError>([&] { read_file(dir / "no"); }),
            dir / "no: cannot open: No such file or directory: check the path");
  EXPECT_NE(
      error_of<DataError>([&] { write_file_atomic(dir / "no/a", {"x"}); }).find("no/a: cannot"),
      std::string::npos);
  testing::write_text(dir / "file", "");
  EXPECT_NE(error_of<DataError>([&] { prepare_directory_of(dir / "file/a"); }).find("directory"),
            std::string::npos);
  std::filesystem::create_directory(dir / "d");
  EXPECT_NE(
      error_of<DataError>([&] { write_file_atomic(dir / "d", {"x"}); }).find("Is a directory"),
      std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(dir / "d.tmp"));
}

TEST(Files, PreparesADirectory) {
  const ScratchDirectory dir;
  EXPECT_GT(prepare_directory_of(dir / "a/b/prefix"), 0);
  EXPECT_TRUE(std::filesystem::is_directory(dir / "a/b"));
  EXPECT_TRUE(std::filesystem::is_empty(dir / "a/b"));
}

TEST(Files, ADirectoryWithoutPermissionIsAnError) {
  const ScratchDirectory dir;
  namespace fs = std::filesystem;
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec |
                                  fs::perms::others_read | fs::perms::others_exec);
  const int status = in_child([&] {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 && ::setuid(kNobody) != 0) ::_exit(1);  // root may write everywhere
    for (const auto& action : {+[](const std::string& p) { prepare_directory_of(p); },
                               +[](const std::string& p) { write_file_atomic(p, {"x"}); }}) {
      try {
        action(dir / "a");
        ::_exit(2);
      } catch (const DataError& e) {
        if (std::string(e.what()).find("Permission denied") == std::string::npos) ::_exit(4);
      }
    }
  });
  fs::permissions(dir.path(), fs::perms::owner_all);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST(Files, SplitsPaths) {
  EXPECT_EQ(directory_of("a/b/c"), "a/b");
  EXPECT_EQ(directory_of("c"), ".");
  EXPECT_EQ(directory_of("/c"), "/");
  EXPECT_EQ(base_name("a/b/c"), "c");
  EXPECT_EQ(base_name("c"), "c");
}

// A file size limit stands in for a full disk: the write fails half-way.
TEST(Files, AFailedWriteLeavesTheOldFileAndNoTemporary) {
  const ScratchDirectory dir;
  write_file_atomic(dir / "a", {"old"});
  const int status = in_child([&] {
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomic(dir / "a", {std::string(10000, 'x')});
    } catch (const DataError& e) {
      ::_exit(std::string(e.what()).find("File too large") != std::string::npos ? 42 : 43);
    }
  });
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_EQ(read_file(dir / "a"), "old");
  EXPECT_FALSE(std::filesystem::exists(dir / "a.tmp"));
}

TEST(Files, AFullDiskIsNamed) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "needs /dev/full";
  const ScratchDirectory dir;
  std::filesystem::create_symlink("/dev/full", dir / "a.tmp");
  const std::string error = error_of<DataError>([&] { write_file_atomic(dir / "a", {"x"}); });
  EXPECT_NE(error.find("No space left on device: free some space"), std::string::npos) << error;
  EXPECT_FALSE(std::filesystem::exists(dir / "a"));
  EXPECT_FALSE(std::filesystem::is_symlink(dir / "a.tmp"));
}

TEST(Files, AKillAtAnyPointLeavesTheOldOrTheNewFile) {
  for (const std::string point :
       {"file_half_written", "file_written", "file_synced", "file_renamed", "file_done"}) {
    const ScratchDirectory dir;
    write_file_atomic(dir / "a", {"old"});
    const int status = in_child([&] {
      ::setenv("RESNET_TEST_CRASH", (point + ":2").c_str(), 1);
      write_file_atomic(dir / "other", {"first passage"});
      write_file_atomic(dir / "a", {"new"});
    });
    ASSERT_TRUE(WIFSIGNALED(status)) << point;
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
    const bool renamed = point == "file_renamed" || point == "file_done";
    EXPECT_EQ(read_file(dir / "a"), renamed ? "new" : "old") << point;
  }
}

TEST(Checksum, IsCrc64Xz) {
  EXPECT_EQ(checksum_of("123456789"),
            0x995DC9BBDF1939FAu);  // the algorithm's published check value
  EXPECT_EQ(checksum_of(""), 0u);
  Checksum parts;
  parts.update("12");
  parts.update("");
  parts.update("3456789");
  EXPECT_EQ(parts.value(), checksum_of("123456789"));
}

TEST(Checksum, SeesEveryChangedBit) {
  std::string bytes(100, 'q');
  const uint64_t good = checksum_of(bytes);
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    EXPECT_NE(checksum_of(bytes), good);
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
  }
}

}  // namespace
}  // namespace resnet
