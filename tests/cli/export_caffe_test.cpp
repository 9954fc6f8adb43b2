// `resnet export --format=caffe` and `--format=model`.
#include <gtest/gtest.h>

#include "cli/tool.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/mean_file.h"

namespace resnet::test {
namespace {

constexpr char kWeights[] = "--weights=snap/tiny_iter_4.caffemodel";

class ExportCaffe : public testing::Test {
 protected:
  ExportCaffe() {
    EXPECT_EQ(files_.train().code, 0);
    files_.write("labels.txt", "red\ngreen\nblue\n");
    files_.write_image("red.ppm", 8, 8, 220, 30, 40);
  }
  std::string predict(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"predict", "--quiet", "red.ppm"});
    return files_.run_ok(flags).out;
  }

  Workspace files_;
};

TEST_F(ExportCaffe, WritesWhatClassificationReads) {
  const RunResult run =
      files_.run_ok({"export", "--quiet", "--format=caffe", "--model=net.prototxt", kWeights,
                     "--labels=labels.txt", "--output=out/net.caffemodel"});
  EXPECT_NE(run.out.find("out/net_deploy.prototxt: the net for use"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("largest difference"), std::string::npos);
  EXPECT_EQ(files_.read("out/net_labels.txt"), "red\ngreen\nblue\n");
  const MeanImage mean = read_mean(files_.path("out/net_mean.binaryproto"));
  EXPECT_EQ(mean.shape, (Shape{3, 8, 8}));
  EXPECT_EQ(mean.values[100], 128);
  EXPECT_FALSE(read_caffemodel(files_.path("out/net.caffemodel")).ours);
  // What Caffe would do by hand is what is stored with our weights.
  EXPECT_EQ(predict({"--model=out/net_deploy.prototxt", "--weights=out/net.caffemodel",
                     "--mean=out/net_mean.binaryproto", "--scale=0.0078125",
                     "--labels=out/net_labels.txt"}),
            predict({"--model=deploy.prototxt", kWeights, "--labels=labels.txt"}));
}

TEST_F(ExportCaffe, WritesSnapshots) {
  files_.replace("solver.prototxt", "test_interval: 4", "test_interval: 4 test_iter: 3");
  files_.run_ok({"export", "--quiet", "--format=caffe", "--solver=solver.prototxt",
                 "--weights=snap/tiny_iter_2.caffemodel", "--snapshot=snap/tiny_iter_2.solverstate",
                 "--output=out/net.caffemodel"});
  // Training goes on from it as it did from ours.
  files_.replace("out/net_solver.prototxt", "\"snap/tiny\"", "\"out/more\"");
  const RunResult run =
      files_.run({"train", "--quiet", "--threads=1", "--solver=out/net_solver.prototxt",
                  "--snapshot=out/net_iter_2.solverstate"});
  ASSERT_EQ(run.code, 0) << run.err;
  const WeightSet own = read_caffemodel(files_.path("snap/tiny_iter_4.caffemodel"));
  const WeightSet more = read_caffemodel(files_.path("out/more_iter_4.caffemodel"));
  ASSERT_EQ(own.blobs.size(), more.blobs.size());
  for (size_t i = 0; i < own.blobs.size(); ++i) EXPECT_EQ(own.blobs[i].data, more.blobs[i].data);
}

TEST_F(ExportCaffe, NamesWhatCaffeLacks) {
  files_.replace("solver.prototxt", "lr_policy: \"fixed\"", "lr_policy: \"cosine\" warmup_iter: 2");
  const RunResult run =
      files_.run({"export", "--quiet", "--format=caffe", "--solver=solver.prototxt", kWeights,
                  "--snapshot=snap/tiny_iter_4.solverstate", "--output=out/net.caffemodel"});
  EXPECT_EQ(run.code, 2);
  for (const char* part : {"lr_policy \"cosine\"", "test_iter", "SolverParameter.warmup_iter"}) {
    EXPECT_NE(run.err.find(part), std::string::npos) << part << " in " << run.err;
  }
  EXPECT_FALSE(files_.has("out/net.caffemodel"));
}

TEST_F(ExportCaffe, ReplacesNothingOfOthers) {
  files_.write("net_deploy.prototxt", files_.read("deploy.prototxt"));
  const std::vector<std::string> command = {"export", "--quiet", "--format=caffe", kWeights,
                                            "--output=net.caffemodel"};
  expect_failure(files_.run(command), 2, {"net_deploy.prototxt", "not written by export"});
  std::vector<std::string> itself = command;
  itself.back() = "--output=snap/tiny_iter_4.caffemodel";
  expect_failure(files_.run(itself), 2, {"tiny_iter_4.caffemodel", "the command reads it"});
  itself.back() = "--output=snap/tiny.caffemodel";
  itself.push_back("--snapshot=snap/tiny_iter_4.solverstate");
  expect_failure(files_.run(itself), 2, {"tiny_iter_4.solverstate", "the command reads it"});
  std::filesystem::remove(files_.path("net_deploy.prototxt"));
  files_.run_ok(command);
  files_.run_ok(command);  // its own files it replaces
}

TEST_F(ExportCaffe, OneFileIsEnough) {
  files_.run_ok({"export", "--quiet", "--format=model", "--model=net.prototxt", kWeights,
                 "--labels=labels.txt", "--output=one.caffemodel"});
  const std::string out = predict({"--weights=one.caffemodel"});
  EXPECT_EQ(out, predict({"--model=deploy.prototxt", kWeights, "--labels=labels.txt"}));
  EXPECT_NE(out.find("\"green\""), std::string::npos) << out;
  EXPECT_NE(
      files_.run_ok({"summary", "--quiet", "--weights=one.caffemodel"}).out.find("3 named classes"),
      std::string::npos);
}

}  // namespace
}  // namespace resnet::test
