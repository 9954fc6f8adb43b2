// Reads and writes .npy files of float32 for the tests, apart from the code under test.
#pragma once

#include <string>
#include <vector>

namespace resnet::test {

struct Npy {
  std::string header;
  std::vector<float> values;
};

Npy parse_npy(const std::string& bytes);  // version 1
// `shape` as NumPy writes it: "(2, 3)".
std::string npy_bytes(const std::string& shape, const std::vector<float>& values);

}  // namespace resnet::test
