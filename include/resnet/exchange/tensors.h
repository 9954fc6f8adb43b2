// Named arrays, as other programs keep a net's weights in a file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "resnet/tensor/tensor.h"

namespace resnet {

struct NamedTensor {
  std::string name;
  Shape shape;
  std::vector<float> data;  // row-major, shape.count() values, whatever type the file has
};

struct TensorFile {
  std::string path;
  std::vector<NamedTensor> tensors;             // in file order, names are unique
  std::map<std::string, std::string> metadata;  // texts beside them

  const NamedTensor* find(std::string_view name) const;  // nullptr: there is none
};

}  // namespace resnet
