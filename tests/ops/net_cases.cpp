#include <fstream>
#include <map>
#include <sstream>

#include "cases.h"
#include "resnet/base/error.h"
#include "test_paths.h"

namespace resnet::testing {
namespace {

struct Attributes {
  Pair kernel{1, 1}, stride{1, 1}, pad{0, 0};
  int64_t outputs = 0;
};

// "k3 s1 p1 o16"
Attributes parse_attributes(std::istream& in) {
  Attributes a;
  char key = 0;
  for (int64_t value = 0; in >> key >> value;) {
    switch (key) {
      case 'k':
        a.kernel = {value, value};
        break;
      case 's':
        a.stride = {value, value};
        break;
      case 'p':
        a.pad = {value, value};
        break;
      case 'o':
        a.outputs = value;
        break;
      default:
        throw DataError(std::string("unknown attribute ") + key);
    }
  }
  return a;
}

Op make_op(const std::string& name, const Attributes& a) {
  const BatchNorm bn_relu{.gamma = true, .beta = true, .relu = true, .has_mask = true};
  if (name == "Convolution") {
    return Convolution{
        .num_output = a.outputs, .kernel = a.kernel, .stride = a.stride, .pad = a.pad};
  }
  if (name == "BatchNormRelu") return bn_relu;
  if (name == "BatchNormAddRelu") {
    BatchNorm add = bn_relu;
    add.add = true;
    return add;
  }
  if (name == "IdentityShortcut") return IdentityShortcut{a.stride[0], a.outputs};
  if (name == "MaxPooling") {
    return Pooling{Pooling::Kind::max, a.kernel, a.stride, a.pad, true, true};
  }
  if (name == "AveragePooling") return Pooling{Pooling::Kind::average, a.kernel, a.stride, a.pad};
  if (name == "InnerProduct") return InnerProduct{.num_output = a.outputs, .bias = true};
  if (name == "SoftmaxLoss") return SoftmaxLoss{};
  throw DataError("unknown op " + name);
}

}  // namespace

std::vector<Case> net_cases(const std::string& net, int64_t batch) {
  const std::string path = source_dir() + "/tests/ops/shapes_" + net + ".txt";
  std::ifstream file(path);
  if (!file) throw DataError("cannot read " + path);
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream in(line);
    std::string name, op;
    Shape src{batch, 0, 0, 0};
    if (!(in >> name >> op >> src[1] >> src[2] >> src[3])) throw DataError(path + ": " + line);
    cases.push_back({net + "_" + name, make_op(op, parse_attributes(in)), {src}});
  }
  return cases;
}

}  // namespace resnet::testing
