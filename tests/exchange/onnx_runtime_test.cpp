// Exported models under ONNX's checker, its shape inference and onnxruntime, where Python has them.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "exchange/onnx_nets.h"
#include "exchange/python.h"
#include "io/io_test_util.h"
#include "resnet/eval/weights.h"
#include "resnet/io/prototxt.h"
#include "test_paths.h"

namespace resnet::test {
namespace {

using testing::ScratchDirectory;

void write_floats(const std::string& path, const std::vector<float>& values) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
}

class OnnxRuntime : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!python_.skip.empty()) GTEST_SKIP() << python_.skip;
  }

  // The same of a committed net without its Softmax, whose probabilities would hide differences, folded or not.
  void add_committed(const std::string& family, const std::string& name) {
    NetParameter scores = read_net_prototxt(testing::source_dir() + "/models/" + family + "/" +
                                            name + "/deploy.prototxt");
    ASSERT_EQ(scores.layer(scores.layer_size() - 1).type(), "Softmax");
    scores.mutable_layer()->RemoveLast();
    WeightedNet net(scores, "cpu");
    add(name, net, {}, {1, 3});
    add(name + "_folded", net, {.fold_bn = true}, {1, 3});
  }

  // Notes that every output of `net` must come out of its model, for each batch.
  void add(const std::string& name, WeightedNet& net, const OnnxOptions& options,
           const std::vector<int64_t>& batches) {
    const std::string model = scratch_ / (name + ".onnx");
    write_onnx(model, net.weighted, options);
    const OnnxInfo info = read_onnx_info(model);
    for (const int64_t batch : batches) {
      Values input = net.input(batch);
      for (auto& [blob, array] : input) array = input.begin()->second;
      const HostArray& first = input.begin()->second;
      const Values expected = net.run(input, batch, info.outputs);
      const std::string prefix = scratch_ / (name + "_" + std::to_string(batch));
      write_floats(prefix + ".in", first.data);
      std::string dims = first.shape.str();
      dims = dims.substr(1, dims.size() - 2);
      for (const std::string& output : info.outputs) {
        const std::string file = prefix + "_" + std::to_string(names_.size());
        write_floats(file, expected.at(output).data);
        list_ << model << '\t' << prefix << ".in\t" << dims << '\t' << output << '\t' << file
              << '\n';
        names_.push_back(name + ", batch ");
        names_.back() += std::to_string(batch) + ", " + output;
      }
    }
  }

  // Runs them all; the differences must be within `bound`, and shape inference find the batch where a shape
  // is known to have it.
  void check(double bound) {
    testing::write_text(scratch_ / "list", list_.str());
    const PythonResult result = run_python(
        python_, {testing::source_dir() + "/tests/exchange/onnx_check.py", scratch_ / "list"});
    ASSERT_EQ(result.code, 0) << result.output;
    std::istringstream lines(result.output);
    std::string line;
    size_t i = 0;
    double largest = 0;
    while (std::getline(lines, line)) {
      std::istringstream words(line);
      double value = 0;
      std::string shape;
      if (!(words >> value >> shape) || i >= names_.size()) continue;  // onnxruntime's own words
      EXPECT_LE(value, bound) << names_[i];
      largest = std::max(largest, value);
      shapes_[names_[i++]] = shape;
    }
    EXPECT_EQ(i, names_.size()) << result.output;
    RecordProperty("largest_difference", std::to_string(largest));
    std::cout << names_.size() << " outputs, largest difference " << largest << '\n';
  }

  const Python python_ = python_with({"numpy", "onnx", "onnxruntime"});
  ScratchDirectory scratch_;
  std::ostringstream list_;
  std::vector<std::string> names_;             // of the lines of list_
  std::map<std::string, std::string> shapes_;  // that inference found, by those names
};

TEST_F(OnnxRuntime, SmallNets) {
  for (const OnnxCase& one : onnx_cases()) {
    WeightedNet net(one.text);
    add(one.name, net, {}, {1, 3});
    if (one.folds) add(one.name + "_folded", net, {.fold_bn = true}, {1, 3});
  }
  check(1e-5);
  EXPECT_EQ(shapes_.at("published, batch 1, prob"), "N,10");
}

TEST_F(OnnxRuntime, FixedBatchAndEveryOpset) {
  const PythonResult known = run_python(
      python_, {testing::source_dir() + "/tests/exchange/onnx_check.py", "--last-opset"});
  ASSERT_EQ(known.code, 0) << known.output;
  const int last = std::min(kLastOnnxOpset, std::stoi(known.output));
  EXPECT_GE(last, kFirstOnnxOpset);
  for (int opset = kFirstOnnxOpset; opset <= last; ++opset) {
    for (const OnnxCase& one : onnx_cases()) {
      if (one.name != "published" && one.name != "pool_average_corrected" &&
          one.name != "shortcut" && one.name != "product_of_rows" && one.name != "sum_weighted") {
        continue;
      }
      WeightedNet net(one.text);
      add(one.name + std::to_string(opset), net, {.opset = opset, .batch = 2}, {2});
    }
  }
  check(1e-5);
  EXPECT_EQ(shapes_.at("published17, batch 2, prob"), "2,10");
}

// What Caffe itself computed with a net in the form of the published ones.
class OnnxCaffe : public OnnxRuntime {};
TEST_F(OnnxCaffe, DeployNet) {
  const std::string folder = testing::shared_dir() + "/caffe/forward_tiny64/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no reference data in " << folder;
  const std::string name = folder + "tiny_bottleneck_64";
  WeightedNet net(read_net_prototxt(name + ".prototxt"), "reference");
  load_weights(*net.net, read_caffemodel(name + ".caffemodel"));
  net.weighted = with_weights(*net.net, std::nullopt);
  for (const bool fold : {false, true}) {
    const std::string model = scratch_ / (fold ? "folded.onnx" : "kept.onnx");
    write_onnx(model, net.weighted, {.fold_bn = fold});
    list_ << model << '\t' << folder << "data.bin\t2,3,64,64\tprob\t" << folder << "prob.bin\n";
    names_.push_back(fold ? "folded" : "kept");
  }
  check(1e-5);
}

TEST_F(OnnxRuntime, ResNet20) {
  add_committed("cifar10", "resnet20");
  check(1e-4);
}

TEST_F(OnnxRuntime, SlowImageNetNets) {
  add_committed("imagenet", "resnet18");
  add_committed("imagenet", "resnet50");
  check(1e-4);
  EXPECT_EQ(shapes_.at("resnet50, batch 3, fc1000"), "N,1000");
}

}  // namespace
}  // namespace resnet::test
