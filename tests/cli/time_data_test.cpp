// `resnet time --data`: what it prints, and what it refuses.
#include <gtest/gtest.h>

#include "cli/image_sets.h"

namespace resnet::test {
namespace {

class TimeData : public testing::Test {
 protected:
  TimeData() {
    write_image_set(files_);
    write_image_net(files_, "source: \"set\" backend: FOLDER");
  }

  RunResult time(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"time", "--quiet", "--data", "--iterations=2"});
    return files_.run(flags);
  }
  std::string json(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"--json", "--batch=4"});
    const RunResult result = time(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  double ms(const std::string& json, const std::string& stage) const {
    const std::string stages = json_member(json, "ms_per_image").value_or("");
    return json_number(stages, stage).value_or(-1);
  }

  Workspace files_;
};

TEST_F(TimeData, Text) {
  const RunResult result = time({"--source=set", "--batch=4", "--threads=2"});
  EXPECT_EQ(result.code, 0) << result.err;
  size_t at = 0;  // in this order
  for (const char* part : {"stage", "ms/image", "share", "read", "decode", "resize", "colour",
                           "copy", "1 core: ", " images/s; 2 cores: ", "times as many"}) {
    at = result.out.find(part, at);
    ASSERT_NE(at, std::string::npos) << part << " in " << result.out;
  }
  EXPECT_EQ(time({"--source=set", "--threads=1"}).out.find("cores"), std::string::npos);
}

TEST_F(TimeData, ASourceOrANetBothPhases) {
  for (const std::string flag : {"--source=set.tar", "--solver=images_solver.prototxt"}) {
    for (const std::string phase : {"TRAIN", "TEST"}) {
      const std::string result = json({flag, "--phase=" + phase, "--threads=1"});
      EXPECT_EQ(json_number(result, "threads"), 1) << flag;
      EXPECT_EQ(json_number(result, "images"), 8) << flag << phase;
      EXPECT_GT(json_number(result, "images_per_s").value_or(0), 0) << flag;
      EXPECT_EQ(json_number(result, "images_per_s"), json_number(result, "images_per_s_one_core"));
      for (const char* stage : {"read", "decode", "resize"}) {
        EXPECT_GT(ms(result, stage), 0) << flag << " " << stage;
      }
      EXPECT_EQ(ms(result, "colour"), 0);  // scaled images get their colours as they are scaled
      EXPECT_EQ(ms(result, "copy"), 0);
    }
  }
}

TEST_F(TimeData, LoaderThreadsCountSlow) {
  const std::string one = json({"--source=set", "--threads=2", "--loader_threads=1"});
  EXPECT_EQ(json_number(one, "threads"), 1);
  EXPECT_GT(ms(one, "copy"), 0);
  const std::string three = json({"--source=set", "--threads=1", "--loader_threads=3"});
  EXPECT_EQ(json_number(three, "threads"), 3);
  EXPECT_NE(json_number(three, "images_per_s"), json_number(three, "images_per_s_one_core"));
}

TEST_F(TimeData, OtherImagesThanTheNetsSlow) {
  files_.replace("images.prototxt", "source: \"set\"", "source: \"gone\"");
  expect_failure(time({"--model=images.prototxt"}), 3, {"gone"});
  for (const std::string source : {"set", "set.tar", "list.txt", "train_lmdb"}) {  // of any form
    json({"--model=images.prototxt", "--source=" + source});
  }
}

TEST_F(TimeData, RefusesSlow) {
  const auto refused = [&](const std::vector<std::string>& flags, int code, const char* fact) {
    expect_failure(time(flags), code, {fact});
  };
  refused({}, 2, "--model, or images at --source");
  refused({"--model=deploy.prototxt"}, 2, "reads no data set in phase TRAIN");
  refused({"--model=images.prototxt", "--solver=images_solver.prototxt"}, 2, "either");
  refused({"--source=none"}, 3, "none");
  refused({"--source=set", "--phase=VAL"}, 2, "'VAL'");
  refused({"--source=set", "--batch=-1"}, 2, "--batch");
  refused({"--source=set", "--threads=-1"}, 2, "--threads");
  refused({"--source=set", "--loader_threads=-1"}, 2, "--loader_threads");
  expect_failure(files_.run({"time", "--data", "--source=set", "--iterations=-1"}), 2,
                 {"--iterations"});
  files_.write("set/n02/00.jpg", "");
  refused({"--source=set"}, 3, "set: record n02/00.jpg");
}

}  // namespace
}  // namespace resnet::test
