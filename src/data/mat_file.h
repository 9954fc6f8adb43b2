// MATLAB files of version 5, as far as ImageNet's devkit needs them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace resnet {

// An array: numbers, text, or structures as one list a field; anything else is empty.
struct MatArray {
  std::vector<double> numbers;
  std::string text;  // UTF-8
  std::map<std::string, std::vector<MatArray>> fields;
};

// The variables of a file by their names. Little-endian files only, compressed or not. Throws
// DataError beginning with `name` for what is no such file, or damaged.
std::map<std::string, MatArray> parse_mat(const std::string& name, std::string_view bytes);

}  // namespace resnet
