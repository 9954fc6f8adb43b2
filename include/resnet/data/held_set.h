// Data sets small enough to be held in memory as they are, and how a data layer of the phase TRAIN cuts
// its images out when it does nothing but crop, pad, mirror, subtract a mean and scale: all that a
// device needs to make the layer's batches by itself.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "resnet/tensor/tensor.h"

namespace resnet {

class Loader;

struct CropRule {
  int64_t height = 0, width = 0;  // of the window, pixels
  int64_t pad = 0;                // zeros around the image, after the mean
  bool mirror = false;            // half of the time
  float scale = 1;
  Shape mean_shape;         // (C), (C,H,W) or, if mean_of_window, (C,height,width)
  std::vector<float> mean;  // zeros where the layer has none
  bool mean_of_window = false;
};

struct HeldSet {
  Shape images;                 // (records,C,H,W)
  std::vector<uint8_t> pixels;  // as Record::bytes, one after the other
  std::vector<float> labels;
  CropRule rule;
};

// All records of the loader's source, or nothing: where they take more than most_bytes, are encoded,
// hold floats or differ in shape, where the transformation does more, or where bad records may be left
// out. Throws DataError as reading does.
std::optional<HeldSet> hold(const Loader& loader, int64_t most_bytes);

// The records in the order of an epoch of the stream.
std::vector<int32_t> order_of_epoch(const Loader& loader, int64_t epoch);

}  // namespace resnet
