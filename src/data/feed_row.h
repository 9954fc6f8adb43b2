// The last step of an image on its way to a net.
#pragma once

#include <cstdint>

namespace resnet {

// What becomes of pixels: (pixel - mean) * scale.
struct Normalisation {
  const float* means = nullptr;  // one for each pixel, to which `mean` is added; or null
  float mean = 0;
  float scale = 1;
};

// `count` neighbouring pixels of a plane. Words hold the pixel in the byte that begins at bit `shift`.
void feed_row(const uint8_t* pixels, int64_t count, const Normalisation& how, float* out);
void feed_row(const float* pixels, int64_t count, const Normalisation& how, float* out);
void feed_row(const uint32_t* words, int shift, int64_t count, const Normalisation& how,
              float* out);

}  // namespace resnet
