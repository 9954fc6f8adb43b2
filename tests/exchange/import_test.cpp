// `resnet import` and `resnet export`: what imported nets compute, what comes back, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "cli/npy_file.h"
#include "cli/tool.h"
#include "exchange/python.h"
#include "exchange/torch_net.h"
#include "resnet/base/random.h"
#include "resnet/exchange/safetensors.h"
#include "resnet/io/caffemodel.h"

namespace resnet::test {
namespace {

constexpr double kMean[] = {0.485, 0.456, 0.406}, kStd[] = {0.229, 0.224, 0.225};

// A random image as a file (PPM), and as PyTorch's nets see it.
struct Image {
  std::string ppm;
  std::vector<double> normalised;  // planes R,G,B
};

Image random_image(int size, uint64_t seed) {
  Random random(seed, 0, Use::test);
  const size_t pixels = static_cast<size_t>(size) * static_cast<size_t>(size);
  Image image{"P6\n" + std::to_string(size) + " " + std::to_string(size) + "\n255\n",
              std::vector<double>(3 * pixels)};
  for (size_t i = 0; i < pixels; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      const uint32_t level = random.below(256);
      image.ppm += static_cast<char>(level);
      image.normalised[c * pixels + i] = (level / 255.0 - kMean[c]) / kStd[c];
    }
  }
  return image;
}

void expect_scores(const Workspace& files, const std::string& npy,
                   const std::vector<double>& wanted) {
  const std::vector<float> scores = parse_npy(files.read(npy)).values;
  ASSERT_EQ(scores.size(), wanted.size());
  double largest = 0, size = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max(largest, std::abs(scores[i] - wanted[i]));
    size = std::max(size, std::abs(wanted[i]));
  }
  EXPECT_GT(size, 0.5) << "scores that say something";
  EXPECT_LT(largest, 1e-4 * std::max(1.0, size));
}

// Blobs of equal names, shapes and bits.
void expect_equal(const WeightSet& a, const WeightSet& b) {
  ASSERT_EQ(a.blobs.size(), b.blobs.size());
  for (size_t i = 0; i < a.blobs.size(); ++i) {
    const NamedBlob &x = a.blobs[i], &y = b.blobs[i];
    const std::string name = x.layer + " " + std::to_string(x.index);
    ASSERT_EQ(x.layer, y.layer);
    ASSERT_EQ(x.shape, y.shape) << name;
    EXPECT_EQ(std::memcmp(x.data.data(), y.data.data(), x.data.size() * sizeof(float)), 0) << name;
  }
}

class Import : public testing::Test {
 protected:
  RunResult run_import(const std::string& file, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"import", file, "--quiet", "--threads=1"});
    return files_.run(flags);
  }
  // Expects success and returns the JSON.
  std::string import_ok(const std::string& file, std::vector<std::string> flags) {
    flags.emplace_back("--json");
    const RunResult result = run_import(file, flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  std::string export_ok(const std::string& model, const std::string& weights,
                        std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"export", "--quiet", "--threads=1", "--json", "--model=" + model,
                                 "--weights=" + weights});
    const RunResult result = files_.run(flags);
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }

  const Workspace files_;
};

TEST_F(Import, CifarNetComputesWhatPyTorchDoes) {
  const TorchNet net = torch_cifar_net(2);
  const TensorFile weights = random_tensors(net, 1);
  TensorFile wrapped = weights;
  for (NamedTensor& tensor : wrapped.tensors) tensor.name = "module." + tensor.name;
  write_safetensors(files_.path("x.safetensors"), wrapped);
  const std::string json = import_ok("x.safetensors", {"--output=net"});
  EXPECT_EQ(json_number(json, "matched"), 2 + 5 * 13);
  EXPECT_EQ(json_member(json, "unused"), "[]");
  ASSERT_TRUE(json_number(json, "largest_difference").has_value());
  EXPECT_LE(*json_number(json, "largest_difference"), *json_number(json, "bound"));

  const Image image = random_image(32, 2);
  files_.write("x.ppm", image.ppm);
  const std::vector<std::string> model = {"--model=net/deploy.prototxt",
                                          "--weights=net/resnet14.caffemodel"};
  files_.run_ok(
      {"extract", "--quiet", model[0], model[1], "--blobs=fc10", "--output=out", "x.ppm"});
  expect_scores(files_, "out/fc10.npy", run(net, weights, image.normalised, 32));

  // Out again, as PyTorch's nets want it: the arrays are those that came, but for two roundings.
  export_ok("net/deploy.prototxt", "net/resnet14.caffemodel",
            {"--output=y.safetensors", "--convention=torchvision"});
  const TensorFile back = read_safetensors(files_.path("y.safetensors"));
  for (const NamedTensor& tensor : back.tensors) {
    const NamedTensor* const before = weights.find(tensor.name);
    ASSERT_NE(before, nullptr) << tensor.name;
    if (tensor.name != "conv1.weight") {
      EXPECT_EQ(tensor.data, before->data) << tensor.name;
      continue;
    }
    for (size_t i = 0; i < tensor.data.size(); ++i) {
      EXPECT_NEAR(tensor.data[i], before->data[i], 2e-7 * std::abs(before->data[i]));
    }
  }
  expect_scores(files_, "out/fc10.npy", run(net, back, image.normalised, 32));
}

// Bottlenecks, projections, the stride in the 3x3 convolution, padded pooling.
TEST_F(Import, ImageNetComputesWhatPyTorchDoes) {
  for (const bool bottleneck : {false, true}) {
    TorchNet net;
    net.bottleneck = bottleneck;
    net.stages = {2, 1, 1, 1};
    const TensorFile weights = random_tensors(net, 3);
    write_safetensors(files_.path("x.safetensors"), weights);
    import_ok("x.safetensors", {"--output=first"});
    const std::string model = files_.read("first/deploy.prototxt");
    for (const char* part : {"pad: 1 round_mode: FLOOR", "--pool1=padded", "num_output: 10 "}) {
      EXPECT_NE(model.find(part), std::string::npos) << part;
    }

    // The same on small images, which the plain loops can do.
    files_.write("small.prototxt", model);
    files_.replace("small.prototxt", "dim: 224 dim: 224", "dim: 64 dim: 64");
    import_ok("x.safetensors", {"--model=small.prototxt", "--output=small.caffemodel"});
    const Image image = random_image(64, 4);
    files_.write("x.ppm", image.ppm);
    files_.run_ok({"extract", "--quiet", "--model=small.prototxt", "--weights=small.caffemodel",
                   "--resize=64", "--blobs=fc10", "--output=out", "x.ppm"});
    expect_scores(files_, "out/fc10.npy", run(net, weights, image.normalised, 64));
  }
}

// Against PyTorch itself, at full size.
TEST_F(Import, AgreesWithPyTorchSlow) {
  const Python python = python_with({"torch", "safetensors.torch"});
  if (!python.skip.empty()) GTEST_SKIP() << python.skip;
  struct Case {
    std::string net, written, blob;
  };
  for (const Case& c :
       {Case{"resnet20", "resnet20", "fc10"}, Case{"resnet18", "resnet18b", "fc1000"},
        Case{"resnet50", "resnet50v1.5", "fc1000"}}) {
    const PythonResult made =
        run_python(python, {script("torch_resnets.py"), c.net, files_.path("x.safetensors"),
                            files_.path("x.ppm"), files_.path("scores.npy")});
    ASSERT_EQ(made.code, 0) << made.output;
    import_ok("x.safetensors", {"--output=" + c.net});
    files_.run_ok({"extract", "--quiet", "--model=" + c.net + "/deploy.prototxt",
                   "--weights=" + c.net + "/" + c.written + ".caffemodel",
                   c.net == "resnet20" ? "--resize=32" : "--resize=224", "--blobs=" + c.blob,
                   "--output=out", "x.ppm"});
    const std::vector<float> wanted = parse_npy(files_.read("scores.npy")).values;
    expect_scores(files_, "out/" + c.blob + ".npy", {wanted.begin(), wanted.end()});
  }
}

TEST_F(Import, CaffemodelToSafetensorsAndBackIsLossless) {
  write_safetensors(files_.path("x.safetensors"), random_tensors(torch_cifar_net(1), 5));
  files_.write("labels.txt", "a \"quoted\" name\nb\n");
  import_ok("x.safetensors", {"--output=net", "--labels=labels.txt", "--input_mean=0.5,0.4,0.3"});
  const WeightSet before = read_caffemodel(files_.path("net/resnet8.caffemodel"));
  for (const char* names : {"cifar", "torchvision", "caffe"}) {
    const std::string json = export_ok("net/deploy.prototxt", "net/resnet8.caffemodel",
                                       {"--output=y.safetensors", std::string("--names=") + names});
    EXPECT_EQ(json_number(json, "largest_difference"), 0) << names;
    import_ok("y.safetensors", {"--model=net/deploy.prototxt", "--output=back.caffemodel"});
    const WeightSet after = read_caffemodel(files_.path("back.caffemodel"));
    expect_equal(before, after);
    ASSERT_TRUE(after.preprocessing.has_value());
    EXPECT_EQ(before.preprocessing->SerializeAsString(), after.preprocessing->SerializeAsString())
        << after.preprocessing->DebugString();
  }
  EXPECT_EQ(before.preprocessing->class_name(0), "a \"quoted\" name");
  EXPECT_FLOAT_EQ(before.preprocessing->mean_value(2), 127.5F);

  export_ok("net/deploy.prototxt", "net/resnet8.caffemodel", {"--output=z.caffemodel"});
  expect_equal(before, read_caffemodel(files_.path("z.caffemodel")));
}

// A trained net that is not residual, whose BatchNorm factors are not 1.
TEST_F(Import, OwnNamesKeepEveryBlob) {
  ASSERT_EQ(files_.train().code, 0);
  export_ok("deploy.prototxt", "snap/tiny_iter_4.caffemodel",
            {"--names=caffe", "--output=y.safetensors"});
  import_ok("y.safetensors", {"--model=deploy.prototxt", "--output=back.caffemodel"});
  const WeightSet before = read_caffemodel(files_.path("snap/tiny_iter_4.caffemodel"));
  expect_equal(before, read_caffemodel(files_.path("back.caffemodel")));
  expect_failure(files_.run({"export", "--quiet", "--model=deploy.prototxt",
                             "--weights=snap/tiny_iter_4.caffemodel", "--output=z.safetensors"}),
                 2, {"residual"});
  EXPECT_FALSE(files_.has("z.safetensors"));
}

TEST_F(Import, RawKeepsTheWeights) {
  const TensorFile weights = random_tensors(torch_cifar_net(1), 6);
  write_safetensors(files_.path("x.safetensors"), weights);
  import_ok("x.safetensors", {"--output=net", "--raw"});
  const WeightSet raw = read_caffemodel(files_.path("net/resnet8.caffemodel"));
  EXPECT_EQ(raw.blobs.at(0).data, weights.find("conv1.weight")->data);
  EXPECT_FALSE(raw.preprocessing.has_value());
}

TEST_F(Import, RefusesWhatDoesNotFit) {
  const TensorFile good = random_tensors(torch_cifar_net(1), 7);
  const auto write = [&](const TensorFile& file) {
    write_safetensors(files_.path("x.safetensors"), file);
  };
  write(good);
  import_ok("x.safetensors", {"--output=net"});
  const std::vector<std::string> flags = {"--model=net/deploy.prototxt", "--output=y.caffemodel"};
  const auto refused = [&](const std::vector<std::string>& parts) {
    expect_failure(run_import("x.safetensors", flags), 3, parts);
    EXPECT_FALSE(files_.has("y.caffemodel"));
  };

  TensorFile file = good;
  file.tensors.pop_back();
  write(file);
  refused({"x.safetensors", "1 missing: linear.bias (fc10/bias)", "--allow_missing"});
  expect_failure(run_import("x.safetensors", {"--output=other"}), 3, {"1 missing"});
  EXPECT_FALSE(files_.has("other/deploy.prototxt"));  // no net without its weights

  file = good;
  file.tensors.push_back({"layer1.1.conv1.weight", {1}, {0}});
  write(file);
  refused({"1 unused: layer1.1.conv1.weight"});

  file = good;
  file.tensors[0].shape = {3, 16, 3, 3};
  write(file);
  refused({"1 of another shape: conv1.weight (conv1/weight): file (3,16,3,3), net (16,3,3,3)"});
  std::vector<std::string> lenient = flags;
  lenient.emplace_back("--allow_missing");
  EXPECT_EQ(run_import("x.safetensors", lenient).code, 0);
  std::filesystem::remove(files_.path("y.caffemodel"));

  file = good;
  for (NamedTensor& tensor : file.tensors) tensor.name = "x" + tensor.name;
  write(file);
  refused({"no tensor of this net"});
  expect_failure(run_import("x.safetensors", {"--output=y"}), 2, {"--model"});

  files_.write("x.safetensors", "nonsense");
  refused({"x.safetensors", "header"});
  expect_failure(run_import("x.pth", flags), 2, {"x.pth", "save_file"});
  expect_failure(run_import("none.npz", flags), 3, {"none.npz"});

  write(good);
  expect_failure(run_import("x.safetensors", {"--output=y", "--depth=20"}), 2, {"8 layers"});
  expect_failure(run_import("x.safetensors", {"--output=y", "--family=imagenet"}), 2, {"CIFAR"});
  expect_failure(run_import("x.safetensors", {"--output=y", "--input_std=1,0,1"}), 2,
                 {"--input_std"});
  expect_failure(run_import("x.safetensors", {"--output=y", "--input_mean=1"}), 2,
                 {"--input_mean"});
  expect_failure(run_import("x.safetensors", {"--output=y", "--math=BFLOAT16"}), 2, {"--math"});
  expect_failure(run_import("x.safetensors", {"--output=net.prototxt/y"}), 3, {"net.prototxt"});
}

// What differs from the net that the weights come from is said.
TEST_F(Import, NotesDifferences) {
  TorchNet net;
  net.bottleneck = true;
  write_safetensors(files_.path("x.safetensors"), random_tensors(net, 8));
  files_.run_ok({"define", "--family=imagenet", "--stages=1,1,1,1", "--block=bottleneck",
                 "--classes=10", "--output=v1"});
  files_.replace("v1/deploy.prototxt", "dim: 224 dim: 224", "dim: 64 dim: 64");
  const std::string json =
      import_ok("x.safetensors", {"--model=v1/deploy.prototxt", "--output=y.caffemodel"});
  const std::string notes = json_member(json, "notes").value_or("");
  EXPECT_NE(notes.find("pool1"), std::string::npos) << notes;
  EXPECT_NE(notes.find("3x3"), std::string::npos) << notes;
}

}  // namespace
}  // namespace resnet::test
