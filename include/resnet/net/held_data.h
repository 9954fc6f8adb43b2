// A data set that a device holds and draws a net's training batches from.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "resnet/ops/op.h"

namespace resnet {

struct HeldData {
  DrawBatch rule;
  Shape images;  // (R,C,H,W)
  std::vector<uint8_t> pixels;
  std::vector<float> labels;  // (R)
  Shape mean_shape;
  std::vector<float> mean;
  std::string data, label;                               // the net's inputs; label may be ""
  std::function<std::vector<int32_t>(int64_t)> order{};  // records in the order of an epoch
};

}  // namespace resnet
