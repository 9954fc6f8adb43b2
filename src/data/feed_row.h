// The last step of pixels on their way to a net: rows of levels become rows of floats, or go to a device as
// they are.
#pragma once

#include <algorithm>
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

// `count` of those levels as they are.
void copy_levels(const uint32_t* words, int byte, int64_t count, uint8_t* out);

// A row of pixels, from which the row of each plane is fed or copied.
struct PixelRow {
  const uint32_t* words;
  void feed(int64_t c, const FeedRow& row, float* out) const {
    feed_row(words, static_cast<int>(c), row, out);
  }
  void copy(int64_t c, int64_t count, uint8_t* out) const {
    copy_levels(words, static_cast<int>(c), count, out);
  }
};

// The same of levels that lie in planes. T: uint8_t or float; floats are not copied.
template <class T>
struct PlaneRow {
  const T* levels;  // of plane 0
  int64_t plane;    // levels
  void feed(int64_t c, const FeedRow& row, float* out) const {
    feed_row(levels + c * plane, row, out);
  }
  void copy(int64_t c, int64_t count, uint8_t* out) const {
    std::copy_n(levels + c * plane, count, out);
  }
};
template <class T>
PlaneRow(const T*, int64_t) -> PlaneRow<T>;  // Clang before 17 does not find it by itself

}  // namespace resnet
