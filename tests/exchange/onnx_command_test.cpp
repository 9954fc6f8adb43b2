// `resnet export` to ONNX: a trained net, what is printed, what is refused.
#include <gtest/gtest.h>

#include "cli/tool.h"
#include "resnet/exchange/onnx.h"

namespace resnet::test {
namespace {

class OnnxCommand : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(files_.train().code, 0); }

  RunResult write(const std::vector<std::string>& flags) const {
    std::vector<std::string> arguments{"export", "--threads=1",
                                       "--weights=snap/tiny_iter_4.caffemodel"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return files_.run(arguments);
  }

  Workspace files_;
};

TEST_F(OnnxCommand, WritesAndChecks) {
  files_.write("names.txt", "red\ngreen\nblue\n");
  const RunResult result =
      write({"--model=deploy.prototxt", "--output=out/net.onnx", "--labels=names.txt", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json_member(result.out, "format"), "\"onnx\"");
  const std::optional<double> largest = json_number(result.out, "largest_difference");
  const std::optional<double> bound = json_number(result.out, "bound");
  ASSERT_TRUE(largest && bound) << result.out;
  EXPECT_LE(*largest, *bound);
  EXPECT_GT(*bound, 0);

  const OnnxInfo info = read_onnx_info(files_.path("out/net.onnx"));
  EXPECT_EQ(info.opset, 17);
  EXPECT_EQ(info.inputs, std::vector<std::string>{"data"});
  EXPECT_EQ(info.outputs, std::vector<std::string>{"prob"});
  EXPECT_EQ(info.operators.at("BatchNormalization"), 1);
  EXPECT_EQ(info.metadata.at("class_names"), "red\ngreen\nblue");
  EXPECT_EQ(info.metadata.at("preprocessing.mean_value"), "128");
  EXPECT_EQ(info.metadata.at("preprocessing.scale"), "0.0078125");
  EXPECT_EQ(info.metadata.at("weights.run_id").size(), 16u);
}

TEST_F(OnnxCommand, FoldsAndFixesTheBatch) {
  const RunResult result = write({"--model=deploy.prototxt", "--output=net.bin", "--format=onnx",
                                  "--fold_bn", "--opset=28", "--batch=3"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("3 images: largest difference"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("opset 28; input data; output prob; 1 Conv"), std::string::npos)
      << result.out;
  const OnnxInfo info = read_onnx_info(files_.path("net.bin"));
  EXPECT_FALSE(info.operators.contains("BatchNormalization"));
  EXPECT_EQ(info.metadata.at("batch_norm"), "folded");
}

TEST_F(OnnxCommand, RefusesWithPlaceAndReason) {
  const RunResult result = write({"--model=net.prototxt", "--output=net.onnx"});
  EXPECT_EQ(result.code, 2);
  const std::vector<std::string> lines = result.complaints();
  ASSERT_EQ(lines.size(), 2u) << result.err;
  const std::string line = std::to_string(files_.line_of("net.prototxt", "type: \"Accuracy\""));
  EXPECT_NE(lines[0].find("net.prototxt:" + line + ": layer 'accuracy' (Accuracy): compares"),
            std::string::npos)
      << lines[0];
  EXPECT_NE(lines[1].find("layer 'loss' (SoftmaxWithLoss): compares"), std::string::npos)
      << lines[1];
  EXPECT_FALSE(files_.has("net.onnx"));

  expect_failure(write({"--model=deploy.prototxt", "--output=net.onnx", "--opset=9"}), 2,
                 {"--opset=9", "17 to 28"});
}

}  // namespace
}  // namespace resnet::test
