// What the commands print and write, on a tiny net.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <span>

#include "cli/npy_file.h"
#include "cli/tool.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

constexpr char kWeights[] = "--weights=snap/tiny_iter_4.caffemodel";

std::vector<float> blob(const WeightSet& weights, const std::string& layer, int index) {
  for (const NamedBlob& blob : weights.blobs) {
    if (blob.layer == layer && blob.index == index) return blob.data;
  }
  ADD_FAILURE() << "no blob " << layer << " " << index;
  return {};
}

class Commands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    files_ = new Workspace;
    ASSERT_EQ(files_->train({"--max_iter=30", "--json"}).code, 0);
    std::filesystem::rename(files_->path("snap/tiny_iter_30.caffemodel"),
                            files_->path("snap/tiny_iter_4.caffemodel"));
    files_->write_image("red.ppm", 8, 8, 180, 90, 90);
    files_->write_image("blue.ppm", 40, 30, 90, 90, 180);
  }
  static void TearDownTestSuite() { delete files_; }

  static Workspace* files_;
};
Workspace* Commands::files_ = nullptr;

TEST_F(Commands, TestReportsTheErrorOfTheWholeSet) {
  const RunResult json =
      files_->run_ok({"test", "--quiet", "--json", "--model=net.prototxt", kWeights});
  EXPECT_EQ(json_number(json.out, "images"), 10);
  EXPECT_EQ(json_number(json.out, "test_error_top1"), 0);
  EXPECT_EQ(json_member(json.out, "protocol"), "\"1crop\"");
  EXPECT_TRUE(json_member(json.out, "device").has_value());
  const RunResult text = files_->run_ok({"test", "--quiet", "--model=net.prototxt", kWeights});
  EXPECT_NE(text.out.find("top-1 0.00 %"), std::string::npos) << text.out;
  const RunResult deploy = files_->run_ok(
      {"test", "--quiet", "--json", "--model=deploy.prototxt", kWeights, "--source=test_lmdb"});
  EXPECT_EQ(json_number(deploy.out, "test_error_top1"), 0);
}

TEST_F(Commands, TestByEveryProtocol) {
  const std::string weights = std::string(kWeights).substr(std::string("--weights=").size());
  const auto run_test = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"test", "--quiet", "--source=test_lmdb"});
    return files_->run(flags);
  };
  for (const char* protocol : {"1crop", "10crop", "dense"}) {
    const RunResult json = run_test({"--json", "--model=deploy.prototxt", kWeights, "--scales=8,12",
                                     std::string("--protocol=") + protocol, "--average=logits"});
    EXPECT_EQ(json.code, 0) << json.err;
    EXPECT_EQ(json_number(json.out, "images"), 10);
    EXPECT_EQ(json_number(json.out, "test_error_top1"), 0);
    EXPECT_NE(json.err.find("over 8 pixels, but scale 12"), std::string::npos) << json.err;
    EXPECT_EQ(json_member(json.out, "protocol"),
              '"' + std::string(protocol) + " at 8,12, average of logits\"");
  }
  const RunResult pair = run_test({"--model=deploy.prototxt,deploy.prototxt",
                                   "--weights=" + weights + "," + weights, "--protocol=dense"});
  EXPECT_NE(pair.out.find("10 images (dense, average of probabilities, 2 models): top-1 0.00 % ["),
            std::string::npos)
      << pair.out << pair.err;
  expect_failure(run_test({"--model=deploy.prototxt,deploy.prototxt", kWeights}), 2, {"2 nets"});
  expect_failure(run_test({"--model=deploy.prototxt", kWeights, "--protocol=5crop"}), 2, {"5crop"});
  expect_failure(run_test({"--model=deploy.prototxt", kWeights, "--scales=1x"}), 2, {"1x"});
  expect_failure(run_test({"--model=deploy.prototxt", kWeights, "--scales=7"}), 2, {"scale 7"});
  expect_failure(run_test({"--model=deploy.prototxt", kWeights, "--average=x"}), 2, {"--average"});
}

TEST_F(Commands, PredictPrintsAsCaffeDoes) {
  const RunResult result = files_->run_ok({"predict", "--quiet", "--model=deploy.prototxt",
                                           kWeights, "--top=2", "red.ppm", "blue.ppm"});
  EXPECT_TRUE(result.out.starts_with("---------- Prediction for red.ppm ----------\n0."))
      << result.out;
  EXPECT_NE(result.out.find(" - \"red\"\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("---------- Prediction for blue.ppm ----------\n"), std::string::npos);
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 6);

  // A net for training predicts the same, whether its data sets are there or not.
  const RunResult same = files_->run_ok(
      {"predict", "--quiet", "--model=net.prototxt", kWeights, "--top=2", "red.ppm", "blue.ppm"});
  EXPECT_EQ(same.out, result.out);
}

TEST_F(Commands, PredictTakesListsAndNames) {
  files_->write("list.txt", "red.ppm\nblue.ppm\n");
  files_->write("names.txt", "n1 rot\nn2 gruen\nn3 blau, himmelblau\n");
  const RunResult result =
      files_->run_ok({"predict", "--quiet", "--json", "--model=deploy.prototxt", kWeights,
                      "--list=list.txt", "--labels=names.txt", "--batch=1"});
  EXPECT_EQ(json_number(result.out, "images"), 2);
  const std::string predictions = json_member(result.out, "predictions").value_or("");
  EXPECT_NE(predictions.find("n3 blau, himmelblau"), std::string::npos) << result.out;
  EXPECT_NE(predictions.find("blue.ppm"), std::string::npos);
}

TEST_F(Commands, ExtractWritesWhatPredictSees) {
  files_->run_ok({"extract", "--quiet", "--model=deploy.prototxt", kWeights, "--blobs=conv,prob",
                  "--layers=scale", "--output=out", "red.ppm", "blue.ppm"});
  const Npy prob = parse_npy(files_->read("out/prob.npy"));
  EXPECT_NE(prob.header.find("'shape': (2,3,)"), std::string::npos) << prob.header;
  for (const size_t image : {0U, 1U}) {
    const auto row = std::span(prob.values).subspan(image * 3, 3);
    EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0), 1, 1e-5);
  }
  EXPECT_GT(prob.values[0], 0.34F);
  EXPECT_GT(prob.values[5], 0.34F);

  // The blob is read after the in-place ReLU, the layer before it.
  const Npy conv = parse_npy(files_->read("out/conv.npy"));
  const Npy scale = parse_npy(files_->read("out/scale.npy"));
  ASSERT_EQ(conv.values.size(), 2U * 4 * 8 * 8);
  ASSERT_EQ(scale.values.size(), conv.values.size());
  for (size_t i = 0; i < conv.values.size(); ++i) {
    EXPECT_EQ(conv.values[i], std::max(0.0F, scale.values[i]));
  }
  EXPECT_LT(*std::min_element(scale.values.begin(), scale.values.end()), 0);
}

TEST_F(Commands, ExtractFromArraysAndSets) {
  const std::vector<std::string> common = {"extract", "--quiet", "--model=deploy.prototxt",
                                           kWeights};
  const auto extract = [&](const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = common;
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return files_->run_ok(arguments);
  };
  extract({"--blobs=data,prob", "--output=set", "--source=test_lmdb"});
  const Npy data = parse_npy(files_->read("set/data.npy"));
  EXPECT_NE(data.header.find("'shape': (10,3,8,8,)"), std::string::npos) << data.header;
  // What was fed, fed again as an array, in batches of another size.
  extract({"--blobs=prob", "--output=array", "--input=set/data.npy", "--batch=3"});
  const Npy first = parse_npy(files_->read("set/prob.npy")),
            second = parse_npy(files_->read("array/prob.npy"));
  ASSERT_EQ(first.values.size(), 30U);
  ASSERT_EQ(second.values.size(), 30U);
  for (size_t i = 0; i < 30; ++i) EXPECT_NEAR(first.values[i], second.values[i], 1e-6);

  const RunResult own = files_->run_ok({"extract", "--quiet", "--json", "--model=net.prototxt",
                                        kWeights, "--blobs=fc", "--output=own"});
  EXPECT_EQ(json_number(own.out, "images"), 10);
}

TEST_F(Commands, BnStatsAverageOverBatches) {
  files_->run_ok({"bn-stats", "--quiet", "--model=net.prototxt", kWeights, "--iterations=3",
                  "--output=averaged.caffemodel"});
  const WeightSet before = read_caffemodel(files_->path("snap/tiny_iter_4.caffemodel"));
  const WeightSet after = read_caffemodel(files_->path("averaged.caffemodel"));
  EXPECT_EQ(blob(after, "bn", 2), std::vector<float>{1});
  EXPECT_EQ(blob(after, "conv", 0), blob(before, "conv", 0));
  EXPECT_EQ(blob(after, "fc", 0), blob(before, "fc", 0));
  ASSERT_TRUE(after.preprocessing.has_value());
  EXPECT_EQ(after.preprocessing->SerializeAsString(), before.preprocessing->SerializeAsString());

  // 3 batches of 8 are the 24 images of the set: the means are those of the convolution over it.
  files_->replace("deploy.prototxt", "bottom: \"conv\" top: \"conv\" }",
                  "bottom: \"conv\" top: \"bn\" }");
  files_->run_ok({"extract", "--quiet", "--model=deploy.prototxt", kWeights, "--layers=conv",
                  "--output=bn", "--source=train_lmdb", "--blobs=data"});
  files_->replace("deploy.prototxt", "top: \"bn\" }", "top: \"conv\" }");
  const std::vector<float> conv = parse_npy(files_->read("bn/conv.npy")).values;
  ASSERT_EQ(conv.size(), 24U * 4 * 64);
  const std::vector<float> mean = blob(after, "bn", 0), variance = blob(after, "bn", 1);
  for (size_t c = 0; c < 4; ++c) {
    double mean_sum = 0, variance_sum = 0;
    for (size_t batch = 0; batch < 3; ++batch) {
      double sum = 0, squares = 0;
      for (size_t n = batch * 8; n < batch * 8 + 8; ++n) {
        for (size_t k = 0; k < 64; ++k) {
          const double x = static_cast<double>(conv[(n * 4 + c) * 64 + k]);
          sum += x;
          squares += x * x;
        }
      }
      const double m = 8 * 64;
      mean_sum += sum / m;
      variance_sum += (squares - sum * sum / m) / (m - 1);
    }
    EXPECT_NEAR(static_cast<double>(mean[c]), mean_sum / 3, 1e-5);
    EXPECT_NEAR(static_cast<double>(variance[c]), variance_sum / 3, 1e-5 * (1 + variance_sum));
  }
}

TEST_F(Commands, PlanAndTime) {
  const RunResult plan = files_->run_ok({"plan", "--quiet", "--model=deploy.prototxt"});
  EXPECT_NE(plan.out.find("Convolution"), std::string::npos);
  EXPECT_EQ(plan.out.find(" Relu "), std::string::npos) << plan.out;  // fused
  const RunResult json =
      files_->run_ok({"plan", "--quiet", "--json", "--solver=solver.prototxt", "--phase=TRAIN"});
  EXPECT_GT(json_number(json.out, "planned_bytes").value_or(0), 0);
  EXPECT_EQ(json_number(json.out, "parameters"), 4 * 27 + 8 + 15);

  for (const char* phase : {"TRAIN", "TEST"}) {
    const RunResult time = files_->run_ok({"time", "--quiet", "--json", "--model=net.prototxt",
                                           std::string("--phase=") + phase, "--batch=2",
                                           "--iterations=3", "--per_layer"});
    for (const char* key :
         {"images_per_s", "ms_per_step", "peak_bytes", "planned_bytes", "accounted_share"}) {
      EXPECT_GT(json_number(time.out, key).value_or(0), 0) << key;
    }
    EXPECT_EQ(json_number(time.out, "batch"), 2);
    EXPECT_LE(json_number(time.out, "accounted_share").value_or(2), 1);
    EXPECT_GT(json_number(time.out, "startup_s").value_or(0), 0);
    const double p50 = json_number(time.out, "latency_ms_p50").value_or(0);
    EXPECT_EQ(p50, json_number(time.out, "ms_per_step"));  // of three steps
    EXPECT_GE(p50, json_number(time.out, "ms_per_step_best"));
    EXPECT_LE(p50, json_number(time.out, "latency_ms_p99").value_or(0));
  }
  const RunResult text =
      files_->run_ok({"time", "--quiet", "--model=deploy.prototxt", "--iterations=1"});
  EXPECT_NE(text.out.find("images/s"), std::string::npos);
  EXPECT_NE(text.out.find("compiled in"), std::string::npos) << text.out;
}

TEST_F(Commands, PlanWithoutTheData) {
  files_->write("away.prototxt", files_->read("net.prototxt"));
  files_->replace("away.prototxt", "train_lmdb", "gone_lmdb");
  const std::vector<std::string> plan = {"plan", "--quiet", "--json", "--model=away.prototxt",
                                         "--phase=TRAIN"};
  expect_failure(files_->run(plan), 3, {"gone_lmdb", "--input_shape"});
  std::vector<std::string> shaped = plan;
  shaped.push_back("--input_shape=3,8,8");
  EXPECT_EQ(
      files_->run_ok(shaped).out,
      files_->run_ok({"plan", "--quiet", "--json", "--model=net.prototxt", "--phase=TRAIN"}).out);
  shaped.back() = "--input_shape=3,8";
  expect_failure(files_->run(shaped), 2, {"--input_shape"});
}

TEST_F(Commands, LoadableBackendPredictsTheSame) {
  const std::vector<std::string> predict = {"predict", "--quiet", "--model=deploy.prototxt",
                                            kWeights, "red.ppm"};
  std::vector<std::string> linked = predict, loaded = predict;
  linked.push_back("--backend=reference");
  loaded.push_back("--backend=" RESNET_BACKEND_DIR "/reference.so");
  const std::string expected = files_->run_ok(predict).out;
  EXPECT_EQ(files_->run_ok(linked).out, expected);
  EXPECT_EQ(files_->run_ok(loaded).out, expected);
}

TEST_F(Commands, TrainReportsAsJson) {
  const RunResult result = files_->train({"--json", "--max_iter=5", "--batch=4"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(json_number(result.out, "iteration"), 5);
  for (const char* key : {"images_per_s", "ms_per_step", "data_wait_share", "peak_bytes",
                          "planned_bytes", "parameters", "device", "test_error_top1"}) {
    EXPECT_TRUE(json_member(result.out, key).has_value()) << key;
  }
}

}  // namespace
}  // namespace resnet::test
