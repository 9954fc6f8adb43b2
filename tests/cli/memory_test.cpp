// Nets that are larger than the memory: exit code 4, and a batch that fits is named.
#include <gtest/gtest.h>

#include <regex>

#include "cli/tool.h"
#include "resnet/data/writer.h"

namespace resnet::test {
namespace {

const std::string kEmulated = "--backend=" RESNET_BACKEND_DIR "/cuda_emulated.so";

// The number behind `words` in a line of the error; "" without.
std::string number_after(const RunResult& run, const std::string& words) {
  for (const std::string& line : run.complaints()) {
    std::smatch found;
    if (std::regex_search(line, found, std::regex(words + "(\\d+)"))) return found[1];
  }
  return "";
}

// A GPU of 8 MiB.
class SmallGpu : public testing::Test {
 protected:
  SmallGpu() {
    files_.replace("net.prototxt", "num_output: 4 ", "num_output: 64 ");
    files_.replace("deploy.prototxt", "num_output: 4 ", "num_output: 64 ");
  }

  RunResult run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin() + 1, {"--quiet", "--threads=1", kEmulated});
    return files_.run(arguments, {.environment = {{"RESNET_EMULATED_CUDA_MEMORY_MB", "8"}}});
  }
  void expect_explained(const RunResult& run, const std::string& what) const {
    EXPECT_EQ(run.code, 4) << run.err;
    const std::vector<std::string> lines = run.complaints();
    ASSERT_GE(lines.size(), 8U) << run.err;
    for (const std::string& line : lines) EXPECT_TRUE(line.starts_with("resnet ")) << line;
    EXPECT_TRUE(std::regex_search(
        lines[0], std::regex(": out of memory: " + what +
                             " images needs [0-9.]+ MiB, [78]\\.[0-9] MiB are there \\(")))
        << lines[0];
    EXPECT_NE(lines[1].find("its largest tensors:"), std::string::npos) << run.err;
    EXPECT_NE(run.err.find("64,8,8) nhwc  conv (layer 'conv', "), std::string::npos) << run.err;
  }

  // 700 images to test on.
  void write_many() const {
    const auto writer = open_lmdb_writer(files_.path("many_lmdb"), {"red", "green", "blue"});
    for (int64_t i = 0; i < 700; ++i) {
      Record record;
      record.key = std::to_string(i);
      record.label = i % 3;
      record.shape = {3, 8, 8};
      record.bytes.assign(192, static_cast<uint8_t>(i));
      writer->add(record);
    }
    writer->finish();
    files_.replace("net.prototxt", "test_lmdb", "many_lmdb");
  }

  Workspace files_;
};

TEST_F(SmallGpu, TrainsWithThePairThatItNames) {
  files_.replace("net.prototxt", "batch_size: 8", "batch_size: 256");
  const RunResult large = run({"train", "--solver=solver.prototxt"});
  expect_explained(large, "training with batches of 256");
  const std::string batch = number_after(large, "batch_size: "),
                    iter_size = number_after(large, "iter_size: ");
  SCOPED_TRACE(large.err);
  EXPECT_NE(large.err.find("# TRAIN layer 'data'"), std::string::npos);
  ASSERT_FALSE(batch.empty());
  ASSERT_FALSE(iter_size.empty());
  EXPECT_EQ(std::stoi(batch) * std::stoi(iter_size), 256);

  files_.replace("net.prototxt", "batch_size: 256", "batch_size: " + batch);
  files_.replace("solver.prototxt", "max_iter: 4", "max_iter: 4\niter_size: " + iter_size);
  const RunResult fitting = run({"train", "--solver=solver.prototxt"});
  EXPECT_EQ(fitting.code, 0) << fitting.err;
  EXPECT_TRUE(files_.has("snap/tiny_iter_4.caffemodel"));
}

TEST_F(SmallGpu, NamesTheBatchOfTheTestsWhereThatIsTooLarge) {
  files_.replace("net.prototxt", "batch_size: 4", "batch_size: 600");
  files_.replace("solver.prototxt", "test_initialization: false", "test_initialization: true");
  write_many();
  const RunResult large = run({"train", "--solver=solver.prototxt"});
  expect_explained(large, "computing with batches of 600");
  SCOPED_TRACE(large.err);
  EXPECT_NE(large.err.find("# TEST layer 'data'"), std::string::npos);
  const std::string batch = number_after(large, "batch_size: ");
  ASSERT_FALSE(batch.empty());
  files_.replace("net.prototxt", "batch_size: 600", "batch_size: " + batch);
  const RunResult fitting = run({"train", "--solver=solver.prototxt"});
  EXPECT_EQ(fitting.code, 0) << fitting.err;
}

TEST_F(SmallGpu, TestsWithTheBatchThatItNames) {
  ASSERT_EQ(run({"train", "--solver=solver.prototxt"}).code, 0);
  write_many();
  const std::vector<std::string> test = {"test", "--model=net.prototxt",
                                         "--weights=snap/tiny_iter_4.caffemodel"};
  auto large = test, fitting = test;
  large.emplace_back("--batch=700");
  const RunResult failed = run(large);
  expect_explained(failed, "computing with batches of 700");
  EXPECT_EQ(number_after(failed, "iter_size: "), "");
  fitting.push_back("--batch=" + number_after(failed, "--batch="));
  const RunResult tested = run(fitting);
  EXPECT_EQ(tested.code, 0) << fitting.back() << "\n" << failed.err << tested.err;

  const RunResult timed = run({"time", "--model=deploy.prototxt", "--batch=1000"});
  expect_explained(timed, "computing with batches of 1000");
  EXPECT_EQ(run({"time", "--model=deploy.prototxt", "--iterations=1", "--warmup=0",
                 "--batch=" + number_after(timed, "--batch=")})
                .code,
            0);
}

// On the CPU no emulation is needed: 1.6 TiB of activations from 25 MiB of images.
TEST(OutOfMemory, IsExplainedOnTheCpu) {
  Workspace files;
  files.replace("deploy.prototxt", "dim: 3 dim", "dim: 1 dim");
  files.replace("deploy.prototxt", "num_output: 4 kernel_size: 3 pad: 1",
                "num_output: 65536 kernel_size: 1");
  const RunResult run = files.run({"time", "--quiet", "--threads=1", "--backend=reference",
                                   "--model=deploy.prototxt", "--batch=100000"});
  EXPECT_EQ(run.code, 4) << run.err;
  EXPECT_NE(run.err.find("out of memory: computing with batches of 100000 images needs "),
            std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("f32 (100000,65536,8,8) nchw  conv (layer 'conv', Convolution forward)"),
            std::string::npos)
      << run.err;
  EXPECT_NE(number_after(run, "--batch="), "") << run.err;
}

}  // namespace
}  // namespace resnet::test
