// The mean image of a data set.
#pragma once

#include <vector>

#include "resnet/data/source.h"

namespace resnet {

// Row-major (C,H,W), planes in B,G,R order.
struct ImageMean {
  Shape shape;
  std::vector<double> values;
};

// The mean of each pixel over all records, which must be of one size (else DataError naming the
// first that differs). Sums of 8-bit pixels are exact: the same for any number of threads.
ImageMean compute_mean(const DataSource& source);

}  // namespace resnet
