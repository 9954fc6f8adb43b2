// Written data sets: both formats, complete or absent.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include "data/data_test_util.h"
#include "data/digest.h"
#include "resnet/data/sheet.h"
#include "resnet/data/writer.h"

namespace fs = std::filesystem;

namespace resnet::testing {
namespace {

// Three training files and a test file.
class WriteSet : public ::testing::Test {
 protected:
  WriteSet() : train(numbered_source(23)), test(numbered_source(7)) {}
  WrittenSet write(const std::string& name, SetFormat format) {
    return write_set(*train, *test, folder / name, format);
  }
  ScratchDirectory folder;
  SourcePtr train, test;
};

TEST_F(WriteSet, BothFormatsHoldTheSameRecords) {
  const WrittenSet cifar = write("cifar", SetFormat::cifar), lmdb = write("lmdb", SetFormat::lmdb);
  EXPECT_EQ(cifar.digest, lmdb.digest);
  EXPECT_EQ(cifar.train_labels, (std::vector<int64_t>{3, 3, 3, 2, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(cifar.test_labels, (std::vector<int64_t>{1, 1, 1, 1, 1, 1, 1}));
  const SourcePtr from_cifar = open_source(cifar.train, TRAIN);
  const SourcePtr from_lmdb = open_source(lmdb.train, TRAIN);
  ASSERT_EQ(from_cifar->size(), 23);
  ASSERT_EQ(from_lmdb->size(), 23);
  EXPECT_EQ(open_source(cifar.test, TEST)->size(), 7);
  EXPECT_EQ(open_source(lmdb.test, TEST)->size(), 7);
  for (int64_t i = 0; i < 23; ++i) {
    EXPECT_EQ(from_cifar->read(i).bytes, from_lmdb->read(i).bytes);
    EXPECT_EQ(from_cifar->read(i).label, from_lmdb->read(i).label);
  }
}

TEST_F(WriteSet, TheDigestIsThatOfTheCifarFiles) {
  const WrittenSet written = write("cifar", SetFormat::cifar);
  Digest digest;
  digest.add(read_binary<uint8_t>(folder / "cifar/data_batch_1.bin"));
  digest.add(read_binary<uint8_t>(folder / "cifar/test_batch.bin"));
  EXPECT_EQ(written.digest, digest.value());
}

TEST_F(WriteSet, StartsANewFileAfterTenThousandRecords) {
  train = numbered_source(10001);
  write("cifar", SetFormat::cifar);
  EXPECT_EQ(fs::file_size(folder / "cifar/data_batch_1.bin"), 10000u * kCifarRecordBytes);
  EXPECT_EQ(fs::file_size(folder / "cifar/data_batch_2.bin"), 1u * kCifarRecordBytes);
}

TEST_F(WriteSet, LeavesExistingFilesAlone) {
  fs::create_directory(folder / "set");
  write("set", SetFormat::cifar);  // empty: may be taken
  EXPECT_ONE_LINE(error_of<ConfigError>([&] { write("set", SetFormat::cifar); }), "set",
                  "exists already", "--output");
}

TEST_F(WriteSet, AFailureLeavesNothingBehind) {
  train = numbered_source(5, {3, 16, 16});
  EXPECT_ONE_LINE(error_of<DataError>([&] { write("set", SetFormat::cifar); }), "image0",
                  "(3,16,16)");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST_F(WriteSet, SaysThatItCannotWrite) {
  EXPECT_ONE_LINE(
      error_of<DataError>([&] { write_set(*train, *test, "/proc/set", SetFormat::lmdb); }),
      "/proc/set");
}

// Files may grow to `limit` bytes, as on a full disk; in a process of its own.
template <class Action>
void expect_full_disk_error(rlim_t limit, const std::string& part, Action action) {
  const auto child = [&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limits{limit, limit};
    setrlimit(RLIMIT_FSIZE, &limits);
    try {
      action();
    } catch (const DataError& error) {
      std::fprintf(stderr, "%s\n", error.what());
      std::_Exit(3);
    }
    std::_Exit(0);
  };
  EXPECT_EXIT(child(), ::testing::ExitedWithCode(3), part);
}

TEST_F(WriteSet, DiskFull) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  for (const SetFormat format : {SetFormat::cifar, SetFormat::lmdb}) {
    expect_full_disk_error(40000, "set.*cannot write .is the disk full",
                           [&] { write("set", format); });
  }
}

TEST(Sheet, HoldsEveryImage) {
  const ScratchDirectory folder;
  LoaderOptions options;
  options.batch = 4;
  Loader loader(numbered_source(10), Transformer({}, TEST, ""), options);
  std::vector<SheetImage> images = sheet_images(loader, 6);
  ASSERT_EQ(images.size(), 6u);
  EXPECT_EQ(images[5].caption, "label 5");
  EXPECT_EQ(images[5].detail, "image5");
  EXPECT_EQ(images[5].pixels, numbered_record(5, 5).bytes);
  loader.seek(0);
  EXPECT_EQ(sheet_images(loader, 100).size(), 10u);
  write_sheet(images, "title", "explanation", folder / "sheet.png");
  const Record sheet = read_image(folder / "sheet.png");
  EXPECT_GE(sheet.shape[2], 600);
  EXPECT_ONE_LINE(
      error_of<DataError>([&] { write_sheet(images, "", "", folder / "no/sheet.png"); }),
      "no/sheet.png");
}

}  // namespace
}  // namespace resnet::testing
