// Commands that make data sets and nets, and look at them.
#include <gtest/gtest.h>

#include "cli/tool.h"

namespace resnet::test {
namespace {

class DataCommands : public testing::Test {
 protected:
  RunResult run(const std::vector<std::string>& arguments) const { return files_.run(arguments); }
  Workspace files_;
};

TEST_F(DataCommands, ShapesBecomeASetAMeanAndAPicture) {
  const RunResult made = files_.run_ok(
      {"convert", "shapes", "--quiet", "--json", "--output=shapes", "--train=40", "--test=20"});
  EXPECT_EQ(json_number(made.out, "train_images"), 40);
  EXPECT_EQ(json_number(made.out, "test_images"), 20);

  // The same set as LMDB, by way of the first.
  const RunResult again = files_.run_ok(
      {"convert", "cifar10", "shapes", "--quiet", "--json", "--output=lmdb", "--format=lmdb"});
  EXPECT_EQ(json_member(again.out, "digest"), json_member(made.out, "digest"));

  const RunResult mean =
      files_.run_ok({"mean", "--quiet", "--json", "--source=shapes", "--output=mean.binaryproto"});
  EXPECT_EQ(json_number(mean.out, "images"), 40);
  EXPECT_TRUE(files_.has("mean.binaryproto"));

  files_.run_ok(
      {"show", "--quiet", "--source=lmdb/train.lmdb", "--count=12", "--output=sheet.png"});
  EXPECT_EQ(files_.read("sheet.png").substr(1, 3), "PNG");
  files_.run_ok({"show", "--quiet", "--model=net.prototxt", "--phase=TRAIN", "--count=12",
                 "--output=fed.png"});
  EXPECT_EQ(files_.read("fed.png").substr(1, 3), "PNG");
}

TEST_F(DataCommands, RefuseWhatMakesNoSense) {
  expect_failure(run({"convert", "--output=x"}), 2, {"cifar10", "shapes"});
  expect_failure(run({"convert", "shaeps", "--output=x"}), 2, {"'shaeps'", "'shapes'"});
  expect_failure(run({"convert", "cifar10", "none", "--output=x"}), 3, {"none"});
  expect_failure(run({"convert", "shapes", "--output=train_lmdb"}), 2, {"train_lmdb"});
  expect_failure(run({"convert", "shapes", "--format=zip", "--output=x"}), 2, {"zip"});
  expect_failure(run({"mean", "--source=none", "--output=m"}), 3, {"none"});
  expect_failure(run({"mean", "--source=train_lmdb", "--output=net.prototxt/m"}), 3,
                 {"net.prototxt", "directory"});
  expect_failure(run({"show", "--source=train_lmdb", "--output=net.prototxt/s.png"}), 3,
                 {"net.prototxt/s.png"});
  expect_failure(run({"show", "--output=s.png"}), 2, {"--source"});
  EXPECT_FALSE(files_.has("x"));
}

TEST_F(DataCommands, AFullDiskLeavesNoHalfSet) {
  const RunResult result =
      files_.run({"convert", "shapes", "--quiet", "--train=400", "--test=20", "--output=set"},
                 {.file_size_limit = 100000});
  expect_failure(result, 3, {"set"});
  EXPECT_FALSE(files_.has("set"));
}

TEST_F(DataCommands, DefineAndSummary) {
  files_.run_ok({"define", "--depth=20", "--output=nets/resnet20"});
  const RunResult summary =
      files_.run_ok({"summary", "--quiet", "--json", "--model=nets/resnet20/deploy.prototxt"});
  EXPECT_EQ(json_number(summary.out, "parameters"), 269722);
  EXPECT_NEAR(json_number(summary.out, "multiply_adds").value_or(0), 40.5e6, 0.1e6);
  const RunResult plan =
      files_.run_ok({"plan", "--quiet", "--json", "--model=nets/resnet20/train_val.prototxt",
                     "--phase=TRAIN", "--input_shape=3,32,32", "--batch=2"});
  EXPECT_EQ(json_number(plan.out, "parameters"), 269722);

  expect_failure(run({"define", "--depth=21", "--output=nets/resnet21"}), 2, {"21"});
  expect_failure(run({"define", "--depth=20", "--shortcut=D", "--output=nets/d"}), 2, {"D"});
  expect_failure(run({"define", "--depth=20", "--output=net.prototxt/x"}), 3, {"net.prototxt"});
}

TEST_F(DataCommands, DefineImageNetNets) {
  files_.run_ok({"define", "--family=imagenet", "--stages=1,2", "--block=bottleneck", "--classes=7",
                 "--iter_size=8", "--group_size=32", "--schedule=steps", "--output=nets/mine"});
  const RunResult summary =
      files_.run_ok({"summary", "--quiet", "--model=nets/mine/train_val.prototxt", "--phase=TRAIN",
                     "--input_shape=3,224,224", "--batch=32"});
  EXPECT_NE(summary.out.find("res3b_branch2c"), std::string::npos);
  EXPECT_NE(summary.out.find("fc7"), std::string::npos);
  const std::string solver = files_.read("nets/mine/solver.prototxt");
  EXPECT_NE(solver.find("iter_size: 8"), std::string::npos);
  EXPECT_NE(solver.find("multistep"), std::string::npos);

  const auto refused = [&](std::vector<std::string> flags, const std::string& fact) {
    flags.insert(flags.begin(), {"define", "--output=nets/none"});
    expect_failure(run(flags), 2, {fact});
    EXPECT_FALSE(files_.has("nets/none"));
  };
  refused({"--family=imagenet", "--depth=20"}, "18, 34, 50, 101, 152");
  refused({"--family=imagenet"}, "--depth or --stages");
  refused({"--family=imagenet", "--stages=3,x"}, "3,x");
  refused({"--family=imagenet", "--depth=50", "--iter_size=3"}, "does not divide 256");
  refused({"--family=cifar", "--depth=20", "--stages=3"}, "--stages");
  refused({"--family=mnist", "--depth=20"}, "mnist");
}

}  // namespace
}  // namespace resnet::test
