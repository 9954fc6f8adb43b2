// Commands that need a weight file only, since the net is in it.
#include <gtest/gtest.h>

#include "cli/tool.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

constexpr char kWeights[] = "--weights=snap/tiny_iter_4.caffemodel";

class OneFile : public testing::Test {
 protected:
  OneFile() {
    EXPECT_EQ(files_.train().code, 0);
    files_.write_image("red.ppm", 12, 9, 220, 30, 40);
  }
  std::string out(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--quiet", kWeights});
    return files_.run_ok(arguments).out;
  }

  Workspace files_;
};

TEST_F(OneFile, PredictsAsWithTheDeployNet) {
  const std::string with_net = out({"predict", "--model=deploy.prototxt", "red.ppm"});
  EXPECT_NE(with_net.find("Prediction for red.ppm"), std::string::npos);
  EXPECT_EQ(out({"predict", "red.ppm"}), with_net);
}

TEST_F(OneFile, TestsAsWithTheDeployNet) {
  const auto error = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"test", "--json", "--source=test_lmdb"});
    return json_number(out(more), "test_error_top1");
  };
  const auto wanted = error({"--model=deploy.prototxt"});
  ASSERT_TRUE(wanted);
  EXPECT_EQ(error({}), wanted);
  EXPECT_EQ(error({"--scales=8", "--protocol=dense"}),
            error({"--model=deploy.prototxt", "--scales=8", "--protocol=dense"}));
  const RunResult nowhere = files_.run({"test", "--quiet", kWeights});
  expect_failure(nowhere, 2, {"--source"});
}

TEST_F(OneFile, ExtractsAndSums) {
  out({"extract", "--blobs=prob", "--output=rows", "red.ppm"});
  EXPECT_TRUE(files_.has("rows/prob.npy"));
  const std::string summary = out({"summary"});
  EXPECT_NE(summary.find("trained for 4 iterations"), std::string::npos) << summary;
  EXPECT_NE(summary.find("Softmax"), std::string::npos);
}

TEST_F(OneFile, WeightsAloneAreRefused) {
  NetParameter net;
  LayerParameter* layer = net.add_layer();
  layer->set_name("fc");
  set_blob(layer->add_blobs(), {1}, std::vector<float>{1});
  write_caffemodel(files_.path("bare.caffemodel"), net, 1);
  expect_failure(files_.run({"predict", "--quiet", "--weights=bare.caffemodel", "red.ppm"}), 3,
                 {"bare.caffemodel", "no net inside", "--model"});
  expect_failure(files_.run({"summary", "--quiet", kWeights, "--phase=TRAIN"}), 2, {"--model"});
}

// As Caffe's ILSVRC files have them: an ID, then names with commas.
TEST_F(OneFile, LabelsMayBeSynsetWords) {
  files_.write(
      "synset_words.txt",
      "n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\nn01484850 great "
      "white shark, white shark\n");
  const std::string text = out({"predict", "--labels=synset_words.txt", "--top=3", "red.ppm"});
  EXPECT_NE(text.find(" - \"n01440764 tench, Tinca tinca\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find(" - \"n01484850 great white shark, white shark\"\n"), std::string::npos)
      << text;
}

TEST_F(OneFile, NamesOfAllParametersAreLogged) {
  const RunResult run =
      files_.run({"predict", "--v=1", kWeights, "--model=deploy.prototxt", "red.ppm"});
  EXPECT_NE(run.err.find("matched: conv/weight\n"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace resnet::test
