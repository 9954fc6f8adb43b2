// The mean image of a data set, and the principal components of its colours.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "resnet/data/colour.h"
#include "resnet/data/source.h"

namespace resnet {

struct MeanOptions {
  // As a net's TEST phase sees the images: the shorter side scaled to so many pixels, the centre cut
  // out. 0: as they are.
  int64_t resize_shorter = 0;
  int64_t crop = 0;
  bool exif_orientation = false;
  bool colours = false;                                       // also the principal components
  std::function<void(int64_t done, int64_t total)> progress;  // from one thread at a time
};

// Row-major (C,H,W), planes in B,G,R order.
struct ImageMean {
  Shape shape;
  std::vector<double> values;
  std::optional<PrincipalColours> colours;  // of all pixels that the mean was taken of
};

// The mean of each pixel over all records, which must be of one size once they are scaled and cut (else
// DataError naming the first that differs, or is smaller than the crop). With a rule for sizes, grey
// images count as colour. Sums of 8-bit pixels are exact: the same for any number of threads. Throws
// ConfigError when principal components are asked for of records that are not colour images.
ImageMean compute_mean(const DataSource& source, const MeanOptions& options = {});

}  // namespace resnet
