// How far a conversion has come, as the file conversion.txt keeps it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/digest.h"

namespace resnet {

struct ConversionState {
  int64_t position = 0;  // images of the order that are dealt with
  int64_t records = 0;   // written
  int64_t bad = 0, odd = 0;
  uint64_t bad_bytes = 0;  // length of bad_images.txt
  uint64_t digest = Digest().value();
  std::vector<int64_t> labels;  // records of each label
};

// The file names the conversion and holds its last two states: the one before a batch and the one
// after it. It is written before the batch, so the number of records in the database tells which
// of them is true, whenever the process ends.
struct ConversionFile {
  std::string description;
  uint64_t identity = 0;
  std::vector<ConversionState> states;  // oldest first
};

// Nothing when there is no such file. Throws DataError when it is damaged.
std::optional<ConversionFile> read_conversion(const std::string& path);
void write_conversion(const std::string& path, const ConversionFile& file);  // throws DataError

}  // namespace resnet
