#include "data/feed_row.h"

#include <bit>

#include "data/clones.h"
#include "resnet/tensor/normalise.h"

namespace resnet {
namespace {

// level(x) is the level of pixel x, mean(x) what is subtracted.
template <class Level, class Mean>
RESNET_INLINE void write(const FeedRow& row, const Level& level, const Mean& mean,
                         float* __restrict out) {
  const float scale = row.scale;
  const int64_t count = row.count;
  if (row.mirrored) {
    for (int64_t i = 0; i < count; ++i) {
      out[i] = normalised(level(count - 1 - i), mean(count - 1 - i), scale);
    }
  } else {
    for (int64_t x = 0; x < count; ++x) out[x] = normalised(level(x), mean(x), scale);
  }
}

template <class Level>
RESNET_INLINE void write(const FeedRow& row, const Level& level, float* out) {
  if (row.means) {
    const auto mean = [means = row.means, shift = row.shift](int64_t x) {
      return means[x] - shift;
    };
    write(row, level, mean, out);
  } else {
    write(
        row, level, [mean = row.mean](int64_t) { return mean; }, out);
  }
}

}  // namespace

RESNET_CLONES void feed_row(const uint8_t* levels, const FeedRow& row, float* out) {
  write(
      row, [levels](int64_t x) { return static_cast<float>(levels[x]); }, out);
}

RESNET_CLONES void feed_row(const float* levels, const FeedRow& row, float* out) {
  write(
      row, [levels](int64_t x) { return levels[x]; }, out);
}

RESNET_CLONES void copy_levels(const uint32_t* words, int byte, int64_t count,
                               uint8_t* __restrict out) {
  const int shift = 8 * (std::endian::native == std::endian::little ? byte : 3 - byte);
  for (int64_t x = 0; x < count; ++x) out[x] = static_cast<uint8_t>(words[x] >> shift);
}

RESNET_CLONES void feed_row(const uint32_t* words, int byte, const FeedRow& row, float* out) {
  const int shift = 8 * (std::endian::native == std::endian::little ? byte : 3 - byte);
  const auto level = [words, shift](int64_t x) {
    return static_cast<float>(static_cast<int32_t>((words[x] >> shift) & 255U));
  };
  write(row, level, out);
}

}  // namespace resnet
