// JPEG files by libjpeg-turbo.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "data/pixels.h"

namespace resnet {

bool is_jpeg(std::span<const uint8_t> file);

// One file: its header at once, its pixels on demand. Throws DataError with the bare fact ("the JPEG
// data is truncated", ..); callers add the place.
class JpegReader {
 public:
  explicit JpegReader(std::span<const uint8_t> file);  // must outlive the reader
  ~JpegReader();
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  int64_t height() const;
  int64_t width() const;
  bool is_complete() const;  // its end mark is there
  int components() const;    // 1 grey, 3 colour, 4 CMYK, which read() does not do

  // Reads at least `part`, which must lie in the image; to be called once. The pixels are those of a
  // full decode: libjpeg's accurate integer transform, chroma interpolated. What lies outside of
  // `part` is decoded only as far as its pixels need. `grey`: brightness in place of colours.
  void read(const Rect& part, bool grey, Pixels* out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace resnet
