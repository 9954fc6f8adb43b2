// The whole way on real photographs: convert, mean, train until every training image is right, test.
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/tool.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

const std::string kSample = std::string(RESNET_SHARED_DIR) + "/data/imagenet-sample";

// The solver of a short run with the paper's augmentation.
constexpr const char* kSolver =
    "net: 'net/train_val.prototxt'\n"
    "base_lr: 0.05 lr_policy: 'cosine' max_iter: 450 momentum: 0.9 weight_decay: 0.0001\n"
    "test_initialization: false random_seed: 1 display: 50 snapshot_prefix: 'snapshots/net'\n";

double number(const RunResult& result, const std::string& key) {
  EXPECT_EQ(result.code, 0) << result.err;
  return json_number(result.out, key).value_or(-1);
}

TEST(ImageNetSampleSlow, ResNet18LearnsEveryImage) {
  if (!fs::exists(kSample)) GTEST_SKIP() << "no images at " << kSample;
  const Workspace space;
  const std::string labels = "--labels=" + kSample + "/synset_words.txt";
  for (const std::string name : {"train.lmdb", "val.lmdb"}) {
    const RunResult converted = space.run_ok(
        {"convert", "list", kSample + "/train.txt", labels, "--output=" + name, "--json"});
    EXPECT_EQ(json_number(converted.out, "images"), 47) << converted.out;
  }
  space.run_ok({"mean", "--source=train.lmdb", "--resize=256", "--crop=224", "--pca",
                "--output=mean.binaryproto"});
  space.run_ok({"define", "--family=imagenet", "--depth=18", "--classes=47", "--batch=16",
                "--source=.", "--output=net"});
  space.write("mine.prototxt", kSolver);
  space.run_ok({"train", "--solver=mine.prototxt", "--quiet"});

  const std::string weights = "--weights=snapshots/net_iter_450.caffemodel";
  const RunResult own =
      space.run({"test", "--model=net/train_val.prototxt", weights, "--quiet", "--json"});
  EXPECT_EQ(number(own, "test_error_top1"), 0);
  const std::vector<std::vector<std::string>> protocols = {
      {"--protocol=1crop"}, {"--protocol=10crop"}, {"--protocol=dense", "--scales=224,256,384"}};
  for (const std::vector<std::string>& protocol : protocols) {
    std::vector<std::string> arguments = {
        "test", "--model=net/deploy.prototxt", "--source=val.lmdb", weights, "--quiet", "--json"};
    arguments.insert(arguments.end(), protocol.begin(), protocol.end());
    const RunResult result = space.run(arguments);
    EXPECT_EQ(number(result, "test_error_top1"), 0) << protocol[0];
    EXPECT_EQ(number(result, "images"), 47);
  }
  const RunResult guess =
      space.run_ok({"predict", "--model=net/deploy.prototxt", weights, "--top=1", "--quiet",
                    kSample + "/n07714990_broccoli.JPEG"});
  EXPECT_NE(guess.out.find("broccoli"), std::string::npos) << guess.out;
}

}  // namespace
}  // namespace resnet::test
