// JPEG files of every kind, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnet::testing {

struct JpegKind {
  std::string name;
  int channels = 3;          // 1 grey, 3 colour, 4 CMYK
  int across = 2, down = 2;  // pixels that share a chroma value
  bool progressive = false;
  int restart_rows = 0;  // rows of blocks between restart marks; 0: none
  bool rgb = false;      // stored without a change of colour space
  bool ycck = false;     // CMYK whose first three channels are stored as brightness and chroma
};

// A smooth picture with edges and noise, (height,width,channels).
std::vector<uint8_t> picture(int height, int width, int channels, uint32_t seed = 1);
// The file of this picture; quality 90.
std::vector<uint8_t> jpeg_file(const JpegKind& kind, int height, int width, uint32_t seed = 1);

// Puts an EXIF block with this orientation (1 to 8) behind the first marker.
std::vector<uint8_t> with_orientation(const std::vector<uint8_t>& file, int orientation);

// What partial decoding is tested on.
std::vector<JpegKind> jpeg_kinds();

}  // namespace resnet::testing
