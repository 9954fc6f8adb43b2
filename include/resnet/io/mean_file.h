// Mean images as Caffe's compute_image_mean writes them (mean.binaryproto).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resnet/tensor/tensor.h"

namespace resnet {

struct MeanImage {
  Shape shape;                // (C,H,W), channels in the data's order (B,G,R)
  std::vector<float> values;  // row-major
};

// Reads a BlobProto of one image with either form of shape. Throws DataError.
MeanImage read_mean(const std::string& path);
MeanImage parse_mean(std::string_view bytes, const std::string& path);

// Writes the form that Caffe reads (num 1, channels, height, width). Throws DataError.
void write_mean(const std::string& path, const MeanImage& mean);

}  // namespace resnet
