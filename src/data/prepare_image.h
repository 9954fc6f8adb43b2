// What conversion does to one image.
#pragma once

#include <string>

#include "resnet/data/convert.h"

namespace resnet {

struct PreparedImage {
  Record record;
  uint64_t hash = 0;    // of the record
  std::string problem;  // why it is left out; empty: it is good
  std::string oddity;   // of a good one: "PNG file named .JPEG"
};

// Reads image i, checks it by decoding it in full, and brings it into the wanted form.
PreparedImage prepare_image(const DataSource& source, int64_t i, const ConvertOptions& options);

}  // namespace resnet
