#include "data/jpeg_files.h"

#include <cmath>
#include <cstdio>
// After cstdio, which it needs.
#include <jpeglib.h>

#include <cstdlib>

#include "resnet/base/random.h"

namespace resnet::testing {

std::vector<uint8_t> picture(int height, int width, int channels, uint32_t seed) {
  std::vector<uint8_t> out;
  Random noise(seed, 0, Use::test);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        double value = 128 + 60 * std::sin(0.05 * x * (c + 1) + seed) + 40 * std::cos(0.07 * y + c);
        if ((x / 23 + y / 17) % 3 == c % 3) value += 50;
        value += 20 * (noise.uniform() - 0.5);
        out.push_back(static_cast<uint8_t>(std::fmin(255, std::fmax(0, value))));
      }
    }
  }
  return out;
}

std::vector<uint8_t> jpeg_file(const JpegKind& kind, int height, int width, uint32_t seed) {
  std::vector<uint8_t> pixels = picture(height, width, kind.channels, seed);
  jpeg_compress_struct info{};
  jpeg_error_mgr error;
  info.err = jpeg_std_error(&error);  // ends the program on an error
  jpeg_create_compress(&info);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &data, &size);
  info.image_height = static_cast<JDIMENSION>(height);
  info.image_width = static_cast<JDIMENSION>(width);
  info.input_components = kind.channels;
  info.in_color_space = kind.channels == 1   ? JCS_GRAYSCALE
                        : kind.channels == 3 ? JCS_RGB
                                             : JCS_CMYK;
  jpeg_set_defaults(&info);
  if (kind.rgb) jpeg_set_colorspace(&info, JCS_RGB);
  if (kind.ycck) jpeg_set_colorspace(&info, JCS_YCCK);
  jpeg_set_quality(&info, 90, TRUE);
  if (kind.channels == 3 && !kind.rgb) {
    info.comp_info[0].h_samp_factor = kind.across;
    info.comp_info[0].v_samp_factor = kind.down;
  }
  info.restart_in_rows = kind.restart_rows;
  if (kind.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = pixels.data() + static_cast<size_t>(y * width * kind.channels);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::vector<uint8_t> out(data, data + size);
  std::free(data);
  return out;
}

std::vector<uint8_t> with_orientation(const std::vector<uint8_t>& file, int orientation) {
  const std::vector<uint8_t> exif = {
      0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0, 0,  // APP1, 34 bytes
      'M',  'M',  0, 42, 0,   0,   0,   8,          // big-endian TIFF
      0,    1,                                      // one entry:
      0x01, 0x12, 0, 3,  0,   0,   0,   1,   0, static_cast<uint8_t>(orientation),
      0,    0,    0, 0,  0,   0};  // no further directory
  std::vector<uint8_t> out = file;
  out.insert(out.begin() + 2, exif.begin(), exif.end());
  return out;
}

std::vector<JpegKind> jpeg_kinds() {
  return {
      {.name = "420"},
      {.name = "422", .down = 1},
      {.name = "440", .across = 1},
      {.name = "444", .across = 1, .down = 1},
      {.name = "411", .across = 4, .down = 1},
      {.name = "grey", .channels = 1},
      {.name = "rgb", .across = 1, .down = 1, .rgb = true},
      {.name = "restarts", .restart_rows = 1},
      {.name = "progressive", .progressive = true},
      {.name = "progressive_444", .across = 1, .down = 1, .progressive = true},
      {.name = "progressive_grey", .channels = 1, .progressive = true},
  };
}

}  // namespace resnet::testing
