// Arrays in NumPy's .npy files.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "resnet/net/net.h"

namespace resnet::cli {

// Reads an array of any of the types of parse_npy(). Throws DataError.
HostArray read_npy(const std::string& path);

// Writes a vector of int64. Throws DataError.
void write_npy(const std::string& path, std::span<const int64_t> values);

// Writes a float32 array row by row, a row being everything behind the first dimension. The file
// appears when it is finished.
class NpyWriter {
 public:
  NpyWriter(const std::string& path, const Shape& shape);  // throws DataError
  ~NpyWriter();                                            // removes what is unfinished
  NpyWriter(const NpyWriter&) = delete;
  NpyWriter& operator=(const NpyWriter&) = delete;

  void append(std::span<const float> values);  // throws DataError
  void finish();                               // throws DataError

 private:
  void check(bool good) const;

  std::string path_, temporary_;
  int64_t left_;  // values to come
  std::ofstream file_;
};

}  // namespace resnet::cli
