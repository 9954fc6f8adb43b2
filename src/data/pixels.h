// Pixels on their way from a file to a net.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace resnet {

// A part of an image, in pixels. A part of a padded image may begin above or left of it.
struct Rect {
  int64_t top = 0, left = 0, height = 0, width = 0;

  int64_t bottom() const { return top + height; }  // the first row below
  int64_t right() const { return left + width; }   // the first column to the right
  friend bool operator==(const Rect&, const Rect&) = default;
};

inline Rect intersection(const Rect& a, const Rect& b) {
  const int64_t top = std::max(a.top, b.top), left = std::max(a.left, b.left);
  return {top, left, std::max<int64_t>(0, std::min(a.bottom(), b.bottom()) - top),
          std::max<int64_t>(0, std::min(a.right(), b.right()) - left)};
}

// 8-bit pixels, one a word: bytes B, G, R and one without meaning in memory; of grey images the first
// byte counts.
struct Pixels {
  Rect part;                    // of the image that they come from
  std::vector<uint32_t> words;  // at least size(); it only grows, since growing means filling

  void reset(const Rect& to) {
    part = to;
    if (words.size() < size()) words.resize(size());
  }
  size_t size() const { return static_cast<size_t>(part.height * part.width); }
  // Begins at the part's left edge.
  uint32_t* row(int64_t y) { return words.data() + (y - part.top) * part.width; }
  const uint32_t* row(int64_t y) const { return words.data() + (y - part.top) * part.width; }
};

}  // namespace resnet
