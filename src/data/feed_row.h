// The last step of pixels on their way to a net: rows of levels become rows of floats.
#pragma once

#include <cstdint>

namespace resnet {

// out = (level - mean) * scale for `count` pixels, from right to left if `mirrored`.
struct FeedRow {
  int64_t count = 0;
  float mean = 0;
  const float* means = nullptr;  // where set, pixel x has mean means[x] - shift instead
  float shift = 0;
  float scale = 1;
  bool mirrored = false;
};

void feed_row(const uint8_t* levels, const FeedRow& row, float* out);
void feed_row(const float* levels, const FeedRow& row, float* out);
// The levels are byte 0, 1, .. in memory of each word (see Pixels).
void feed_row(const uint32_t* words, int byte, const FeedRow& row, float* out);

}  // namespace resnet
