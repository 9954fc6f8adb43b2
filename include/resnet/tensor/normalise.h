// The last step of pixels on their way to a net, the same wherever it is done: by the data layers of the
// host or on a device that was given the levels.
#pragma once

#include <cstdint>
#include <vector>

#include "resnet/base/random.h"  // RESNET_HOST_DEVICE
#include "resnet/tensor/tensor.h"

namespace resnet {

// An 8-bit level as a net is fed it. `mean` is that of the pixel less the shift of its colour.
RESNET_HOST_DEVICE inline float normalised(float level, float mean, float scale) {
  return (level - mean) * scale;
}

// How a window of levels becomes an image of a net's input: floats of one image. Sides are in pixels of the
// window as it lies in the image, that is before mirroring; around the image is padding.
namespace placement {
constexpr int kShift = 0;     // added to the levels of planes 0, 1 and 2
constexpr int kMirrored = 3;  // 1: from right to left
constexpr int kTop = 4, kLeft = 5, kBottom = 6, kRight = 7;  // of the image in the window
constexpr int kMeanTop = 8, kMeanLeft = 9;  // of the window in the mean image, if there is one
constexpr int kSize = 10;
}  // namespace placement

// What all images of a data layer have in common.
struct PixelRule {
  Shape mean_shape;  // (C), or that of a mean image (C,H,W)
  std::vector<float> mean;
  float scale = 1;
};

// A batch of levels (N,C,height,width) that becomes a net's input.
struct PlacedImages {
  const uint8_t* levels;
  const float* placements;  // (N,placement::kSize)
  const float* mean;        // (C) or (C,mean_height,mean_width)
  int32_t channels, height, width;
  int32_t mean_height, mean_width;  // 0: one value per channel
  float scale;
};

// A pixel (y,x) of image n of the net's input.
class PlacedPixel {
 public:
  RESNET_HOST_DEVICE PlacedPixel(const PlacedImages& images, int64_t n, int32_t y, int32_t x)
      : images_(images), place_(images.placements + n * placement::kSize) {
    const int32_t column = place_[placement::kMirrored] != 0 ? images.width - 1 - x : x;
    inside_ = y >= at(placement::kTop) && y < at(placement::kBottom) &&
              column >= at(placement::kLeft) && column < at(placement::kRight);
    level_ = (n * images.channels * images.height + y) * images.width + column;
    mean_ = images.mean_height == 0 ? 0
                                    : (at(placement::kMeanTop) + y) * images.mean_width +
                                          at(placement::kMeanLeft) + column;
  }

  // Of plane c; 0 in the padding.
  RESNET_HOST_DEVICE float element(int32_t c) const {
    if (!inside_) return 0;
    const int64_t plane = static_cast<int64_t>(images_.mean_height) * images_.mean_width;
    const float mean = images_.mean[plane == 0 ? c : c * plane + mean_];
    const float shift = c < 3 ? place_[placement::kShift + c] : 0;
    const float level =
        images_.levels[level_ + static_cast<int64_t>(c) * images_.height * images_.width];
    return normalised(level, mean - shift, images_.scale);
  }

 private:
  RESNET_HOST_DEVICE int32_t at(int i) const { return static_cast<int32_t>(place_[i]); }

  const PlacedImages& images_;
  const float* place_;
  bool inside_;
  int64_t level_;  // index of the level in plane 0
  int32_t mean_;   // index in a plane of the mean
};

}  // namespace resnet
