// Nets with weights to export, their values, and one small net for everything that is exported.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "resnet/exchange/onnx.h"
#include "resnet/net/net.h"

namespace resnet::test {

using Values = std::map<std::string, HostArray>;

// A net with random weights and statistics, none of them trivial.
struct WeightedNet {
  WeightedNet(NetParameter param, const std::string& backend);
  explicit WeightedNet(const std::string& text);  // on the reference backend

  std::unique_ptr<Net> net;
  NetParameter weighted;  // with blobs

  // Random input for `batch` images, and what the net computes from it.
  Values input(int64_t batch);
  Values run(const Values& input, int64_t batch, const std::vector<std::string>& blobs);
};

struct OnnxCase {
  std::string name;
  std::string text;    // prototxt
  bool folds = false;  // a BatchNorm goes into a convolution with fold_bn
};
// Between them they have every layer, attribute and form that is exported.
std::vector<OnnxCase> onnx_cases();

// Text of an Input layer "x", dims as "1 3 8 8".
std::string input_x(const std::string& dims);

// The largest difference as a share of the largest value; infinite if shapes or names differ.
double difference(const Values& values, const Values& expected);

}  // namespace resnet::test
