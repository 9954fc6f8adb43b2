#include "data/feed_row.h"

#include "data/clones.h"

namespace resnet {
namespace {

template <class Pixel>
RESNET_INLINE void feed(const Pixel& pixel, int64_t count, const Normalisation& how,
                        float* __restrict out) {
  const float mean = how.mean, scale = how.scale;
  if (how.means == nullptr) {
    for (int64_t x = 0; x < count; ++x) out[x] = (pixel(x) - mean) * scale;
  } else {
    const float* means = how.means;
    for (int64_t x = 0; x < count; ++x) out[x] = (pixel(x) - (means[x] + mean)) * scale;
  }
}

}  // namespace

RESNET_CLONES void feed_row(const uint8_t* pixels, int64_t count, const Normalisation& how,
                            float* out) {
  feed([pixels](int64_t x) { return static_cast<float>(pixels[x]); }, count, how, out);
}

RESNET_CLONES void feed_row(const float* pixels, int64_t count, const Normalisation& how,
                            float* out) {
  feed([pixels](int64_t x) { return pixels[x]; }, count, how, out);
}

RESNET_CLONES void feed_row(const uint32_t* words, int shift, int64_t count,
                            const Normalisation& how, float* out) {
  feed(
      [words, shift](int64_t x) {
        return static_cast<float>(static_cast<int32_t>((words[x] >> shift) & 255U));
      },
      count, how, out);
}

}  // namespace resnet
