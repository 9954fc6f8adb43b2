// `resnet train --skip_bad`: files that are no images, in a folder to train from.
#include <gtest/gtest.h>

#include <algorithm>

#include "cli/image_sets.h"
#include "resnet/io/snapshot.h"

namespace resnet::test {
namespace {

constexpr char kModel2[] = "images/net_iter_2.caffemodel";
constexpr char kModel4[] = "images/net_iter_4.caffemodel";
constexpr char kModel8[] = "images/net_iter_8.caffemodel";
constexpr char kState2[] = "images/net_iter_2.solverstate";

// A folder of 12 images and three bad files, which 4 iterations meet all (16 of 15 positions).
class SkipBadCommand : public testing::Test {
 protected:
  SkipBadCommand() {
    write_image_set(files_);
    write_image_net(files_, "source: \"set\" backend: FOLDER");
    const std::string whole = files_.read("set/n01/10.jpg");
    files_.write("set/n01/truncated.jpg", whole.substr(0, whole.size() * 2 / 3));
    files_.write("set/n02/empty.jpg", "");
    files_.write("set/n03/text.jpg", "This is no image.\n");
    // Tests leave nothing out: their images are good.
    shell(files_,
          "cp -r set good && rm good/n01/truncated.jpg good/n02/empty.jpg good/n03/text.jpg");
  }

  RunResult train(std::vector<std::string> flags, const RunOptions& options = {}) const {
    flags.insert(flags.begin(),
                 {"train", "--quiet", "--threads=1", "--solver=images_solver.prototxt"});
    return files_.run(flags, options);
  }
  // Trains anew and returns the weights.
  std::string weights(const std::vector<std::string>& flags, const char* model = kModel4) const {
    std::filesystem::remove_all(files_.path("images"));
    const RunResult result = train(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return files_.read(model);
  }

  Workspace files_;
};

// Lines of the log that have all of `parts`.
int64_t lines_with(const std::string& log, const std::vector<std::string>& parts) {
  int64_t count = 0;
  for (size_t begin = 0; begin < log.size();) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    count += std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
      return line.find(part) != std::string::npos;
    });
    begin = end + 1;
  }
  return count;
}

TEST_F(SkipBadCommand, ByDefaultABadFileIsAnError) {
  for (const char* threads : {"--loader_threads=0", "--loader_threads=2"}) {
    const RunResult result = train({threads});
    expect_failure(result, 3, {"set: record n0"});
    const std::string line = result.complaints().at(0);
    EXPECT_EQ(lines_with(line, {"n01/truncated.jpg", "the JPEG file is truncated"}) +
                  lines_with(line, {"n02/empty.jpg", "empty file"}) +
                  lines_with(line, {"n03/text.jpg", "not an image"}),
              1)
        << line;
    EXPECT_FALSE(files_.has(kModel4));
  }
  expect_failure(train({"--skip_bad=-1"}), 2, {"--skip_bad"});
  expect_failure(train({"--skip_bad=few"}), 2, {"--skip_bad"});
}

TEST_F(SkipBadCommand, SoManyAreLeftOutWithAWarningEach) {
  const RunResult result = train({"--skip_bad=3"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_TRUE(result.complaints().empty()) << result.err;
  EXPECT_EQ(lines_with(result.err, {"skipped ("}), 3) << result.err;
  EXPECT_EQ(lines_with(result.err, {"set: record n01/truncated.jpg: ", "truncated; skipped"}), 1);
  EXPECT_EQ(lines_with(result.err, {"set: record n02/empty.jpg: ", "empty file; skipped"}), 1);
  EXPECT_EQ(lines_with(result.err, {"set: record n03/text.jpg: ", "skipped"}), 1);
  EXPECT_EQ(lines_with(result.err, {"skipped (3 of at most 3)"}), 1);
}

TEST_F(SkipBadCommand, InTheOrderOfTheKeys) {
  files_.replace("images.prototxt", "shuffle: true", "shuffle: false");
  const RunResult result = train({"--skip_bad=3"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(lines_with(result.err, {"skipped (3 of at most 3)"}), 1) << result.err;
}

TEST_F(SkipBadCommand, ThreadsChangeNothingSlow) {
  const std::string wanted = weights({"--skip_bad=3"});
  EXPECT_FALSE(wanted.empty());
  for (const char* threads : {"--loader_threads=1", "--loader_threads=2"}) {
    EXPECT_TRUE(weights({"--skip_bad=3", threads}) == wanted) << threads;
  }
  EXPECT_TRUE(weights({"--skip_bad=50"}) == wanted);
}

TEST_F(SkipBadCommand, OneTooManyIsAnError) {
  for (const char* threads : {"--loader_threads=0", "--loader_threads=2"}) {
    expect_failure(train({"--skip_bad=2", threads}), 3,
                   {"set: record n0", "bad record 3, 2 may be skipped (--skip_bad)"});
  }
}

TEST_F(SkipBadCommand, AResumedRunGoesOnCounting) {
  const std::vector<std::string> flags = {"--skip_bad=3", "--max_iter=8"};
  const std::string whole = weights(flags, kModel8);
  const std::string half = files_.read(kModel2);
  const LoadedState state = read_solverstate(files_.path(kState2));
  const auto known = static_cast<int64_t>(state.state.data_position(0).bad_record_size());
  ASSERT_GT(known, 0);
  ASSERT_LT(known, 3);  // the rest comes after the snapshot

  for (const char* threads : {"--loader_threads=0", "--loader_threads=2"}) {
    for (const char* later : {"_4", "_6", "_8"}) {
      for (const char* kind : {".caffemodel", ".solverstate"}) {
        std::filesystem::remove(files_.path(std::string("images/net_iter") + later + kind));
      }
    }
    const RunResult result = train({"--skip_bad=3", "--max_iter=8", "--snapshot=auto", threads});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_TRUE(files_.read(kModel2) == half);
    EXPECT_TRUE(files_.read(kModel8) == whole) << threads;
    EXPECT_EQ(lines_with(result.err, {"; skipped ("}), 3 - known) << result.err;
    EXPECT_EQ(lines_with(result.err, {"skipped (3 of at most 3)"}), 1);
  }
  // Those before the snapshot count: with two allowed, the third is one too many.
  expect_failure(train({"--skip_bad=2", std::string("--snapshot=") + kState2}), 3,
                 {"bad record 3, 2 may be skipped"});
}

TEST_F(SkipBadCommand, ATestLeavesNothingOutSlow) {
  files_.replace("images_solver.prototxt", "snapshot: 2", "snapshot: 2 test_interval: 4");
  expect_failure(train({"--skip_bad=3"}), 3, {"set: record n0"});
  // With good images to test on it runs through.
  const std::string text = files_.read("images.prototxt");
  const size_t last = text.rfind("source: \"set\"");
  files_.write("images.prototxt",
               text.substr(0, last) + "source: \"good\"" + text.substr(last + 13));
  EXPECT_EQ(train({"--skip_bad=3"}).code, 0);
}

}  // namespace
}  // namespace resnet::test
