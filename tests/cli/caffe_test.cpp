// What Caffe computed in each layer of a bottleneck net, against `resnet extract`.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "cli/npy_file.h"
#include "cli/tool.h"

namespace resnet::test {
namespace {

namespace fs = std::filesystem;

std::vector<float> read_floats(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted,
                 const std::string& layer) {
  ASSERT_EQ(got.size(), wanted.size()) << layer;
  double largest = 0, error = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(wanted[i])));
    error = std::max(error, std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i])));
  }
  EXPECT_LE(error, 1e-4 * largest) << layer;
}

class CaffeForward : public testing::TestWithParam<const char*> {};

TEST_P(CaffeForward, EveryLayersOwnOutput) {
  const fs::path folder = fs::path(RESNET_SHARED_DIR) / "caffe/forward_tiny64";
  if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
  std::map<std::string, fs::path> layers;  // files are called 001_conv1.bin
  std::string names;
  for (const auto& file : fs::directory_iterator(folder / "layers")) {
    const std::string name = file.path().stem().string().substr(4);
    if (name.find("split") != std::string::npos) continue;  // Caffe inserted these
    layers[name] = file.path();
    names += (names.empty() ? "" : ",") + name;
  }
  ASSERT_GT(layers.size(), 50U);

  const Workspace files;
  files.write("x.npy", npy_bytes("(2, 3, 64, 64)", read_floats(folder / "data.bin")));
  files.run_ok({"extract", "--quiet", std::string("--backend=") + GetParam(),
                "--model=" + (folder / "tiny_bottleneck_64.prototxt").string(),
                "--weights=" + (folder / "tiny_bottleneck_64.caffemodel").string(),
                "--layers=" + names, "--input=x.npy", "--output=out"});
  for (const auto& [name, path] : layers) {
    expect_near(parse_npy(files.read("out/" + name + ".npy")).values, read_floats(path), name);
  }
}

INSTANTIATE_TEST_SUITE_P(Backends, CaffeForward, testing::Values("cpu", "reference"));

}  // namespace
}  // namespace resnet::test
