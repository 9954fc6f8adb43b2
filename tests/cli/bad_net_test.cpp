// Nets and solvers that cannot work: one line an error, with its place, and exit code 2.
#include <gtest/gtest.h>

#include "cli/tool.h"

namespace resnet::test {
namespace {

class BadNet : public testing::Test {
 protected:
  // Puts `to` in place of `from` in the net, trains, and expects the complaint to name `line` of the
  // file, counted from the line of `to`, and all `parts`.
  void expect_refused(const std::string& from, const std::string& to, int line,
                      std::vector<std::string> parts) const {
    files_.replace("net.prototxt", from, to);
    line += files_.line_of("net.prototxt", to);
    parts.push_back("net.prototxt:" + std::to_string(line) + ":");
    expect_failure(files_.train(), 2, parts);
    EXPECT_FALSE(files_.has("snap/tiny_iter_2.caffemodel"));
  }
  Workspace files_;
};

// Errors of a layer are at its first line, errors of a field at the field.
TEST_F(BadNet, UnknownLayerType) {
  expect_refused("type: \"Convolution\"", "type: \"Convolutoin\"", -1,
                 {"'Convolutoin'", "'Convolution'"});
}

TEST_F(BadNet, UnknownField) {
  expect_refused("num_output: 4 ", "num_outputs: 4 ", 0, {"num_outputs", "'num_output'"});
}

TEST_F(BadNet, UnknownEnumValue) { expect_refused("pool: AVE", "pool: AVG", 0, {"AVG", "AVE"}); }

TEST_F(BadNet, SyntaxError) { expect_refused("kernel_size: 3", "kernel_size: 3 3", 0, {}); }

TEST_F(BadNet, ShapeMismatch) {
  expect_refused(
      "layer { name: \"relu\"",
      "layer { name: \"sum\" type: \"Eltwise\" bottom: \"conv\" bottom: \"data\" top: \"sum\" }\n"
      "layer { name: \"relu\"",
      0, {"'sum'", "(8,4,8,8)", "(8,3,8,8)"});
}

TEST_F(BadNet, KernelLargerThanItsInput) {
  expect_refused("kernel_size: 3 pad: 1", "kernel_size: 11", -2, {"'conv'", "11"});
}

TEST_F(BadNet, MissingBottom) {
  expect_refused("bottom: \"pool\"", "bottom: \"pol\"", -1, {"'fc'", "'pol'", "'pool'"});
}

TEST_F(BadNet, AllErrorsAreReportedTogether) {
  files_.replace("net.prototxt", "type: \"Convolution\"", "type: \"Convolutoin\"");
  files_.replace("net.prototxt", "pool: AVE", "pool: AVG");
  files_.replace("net.prototxt", "bottom: \"fc\" bottom: \"label\" top: \"loss\"",
                 "bottom: \"nothing\" bottom: \"label\" top: \"loss\"");
  for (const RunResult& result :
       {files_.train(), files_.run({"plan", "--model=net.prototxt", "--phase=TRAIN", "--quiet"})}) {
    EXPECT_EQ(result.code, 2);
    EXPECT_EQ(result.complaints().size(), 3U) << result.err;
    for (const std::string& line : result.complaints()) {
      EXPECT_NE(line.find("net.prototxt:"), std::string::npos) << line;
    }
  }
}

TEST_F(BadNet, UnsupportedByTheBackend) {
  files_.replace("net.prototxt", "kernel_size: 3", "kernel_size: 3 axis: 2");
  const RunResult result = files_.train();
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("axis"), std::string::npos) << result.err;
}

TEST_F(BadNet, NetFileIsMissing) {
  expect_failure(files_.run({"plan", "--model=none.prototxt"}), 2, {"none.prototxt"});
  files_.replace("solver.prototxt", "net.prototxt", "none.prototxt");
  expect_failure(files_.train(), 2, {"none.prototxt"});
  expect_failure(files_.run({"train", "--solver=none.prototxt"}), 2, {"none.prototxt"});
}

TEST_F(BadNet, Solver) {
  const std::string good = files_.read("solver.prototxt");
  const auto refused = [&](const std::string& from, const std::string& to,
                           const std::vector<std::string>& parts) {
    files_.write("solver.prototxt", good);
    files_.replace("solver.prototxt", from, to);
    expect_failure(files_.train(), 2, parts);
  };
  refused("momentum: 0.9", "momentun: 0.9", {"solver.prototxt:4", "momentun", "'momentum'"});
  refused("\"fixed\"", "\"fxied\"", {"fxied", "fixed"});
  refused("max_iter: 4", "", {"max_iter"});
  refused("base_lr: 0.1", "base_lr: much", {"solver.prototxt:2", "base_lr"});
}

TEST_F(BadNet, CommandsThatNeedAnotherNet) {
  expect_failure(files_.run({"plan", "--quiet", "--model=deploy.prototxt", "--phase=TRAIN"}), 2,
                 {"TRAIN"});
  expect_failure(files_.run({"plan", "--model=net.prototxt", "--phase=EVAL"}), 2, {"EVAL"});
  expect_failure(files_.run({"plan", "--model=net.prototxt", "--solver=solver.prototxt"}), 2,
                 {"--model", "--solver"});
}

}  // namespace
}  // namespace resnet::test
