// The one way in which images are scaled.
#pragma once

#include <memory>

#include "data/pixels.h"

namespace resnet {

// The part `box` of an image becomes height x width pixels.
struct Scaling {
  Rect box;  // in pixels of the image
  int64_t height = 0, width = 0;

  bool is_identity() const { return height == box.height && width == box.width; }
};

// Sides for a shorter side of `size` pixels, the other one rounded.
Scaling scale_shorter_side(int64_t height, int64_t width, int64_t size);

// What of the image the window of the scaled box depends on.
Rect source_part(const Scaling& scaling, const Rect& window);

// A window of the scaled box: linear interpolation along each axis where it grows; where it shrinks,
// the triangle of the interpolation is widened by the factor, so that every pixel counts (bilinear
// resampling with antialiasing as in Pillow and torchvision). Weights outside of the box are spread
// over those inside. Values are rounded to 8-bit levels, at most 0.55 from the exact value. `from`
// holds source_part(). The result does not depend on the instruction set.
void resample(const Pixels& from, const Scaling& scaling, const Rect& window, Pixels* out);

// The same row by row, for one who uses up a row at once.
class ScaledRows {
 public:
  virtual ~ScaledRows() = default;
  // Row y of the scaled box, from the window's left edge; stays until the next call.
  virtual const uint32_t* row(int64_t y) = 0;
};
std::unique_ptr<ScaledRows> scaled_rows(const Pixels& from, const Scaling& scaling,
                                        const Rect& window);

}  // namespace resnet
