// Pixels of one record: decoding, reading image files, scaling.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "resnet/data/source.h"

namespace resnet {

enum class Colour : uint8_t { as_stored, colour, grey };

// How an encoded image becomes pixels.
struct Decoding {
  Colour colour = Colour::as_stored;
  bool exif_orientation = false;  // turn it as a camera's orientation mark says
};

class JpegReader;
struct Pixels;
struct Rect;

// The image of one record, whose pixels are decoded when they are asked for: of JPEG files only what
// is needed. One user at a time.
class Image {
 public:
  // `record` and its bytes must outlive the image. Throws DataError naming `source` and the key on
  // files that are no image, damaged or truncated, where the header tells.
  Image(const Record& record, const Decoding& decoding, const std::string& source);
  ~Image();
  Image(const Image&) = delete;
  Image& operator=(const Image&) = delete;

  // (C,H,W) of the pixels; C is 1 or 3 for encoded images.
  const Shape& shape() const { return shape_; }
  const Record& record() const { return record_; }

  // Where the pixels are at hand as planes: the record, or its decoded copy; else null.
  const Record* planes() const { return planes_; }
  // Pixels of at least this part, which must lie in the image; 1 or 3 channels of 8 bits. To be called
  // once. Throws DataError as the constructor.
  void read(const Rect& part, Pixels* out);
  // All pixels as planes.
  Record decoded();

 private:
  void decode_whole();

  const Record& record_;
  Decoding decoding_;
  std::string source_;
  Shape shape_;
  Record whole_;  // decoded by OpenCV
  const Record* planes_ = nullptr;
  std::unique_ptr<JpegReader> jpeg_;
};

// Replaces an encoded record's bytes by pixels (B,G,R planes, or one grey plane). Pixels that are
// there already are left alone unless `decoding` asks for another number of channels. Throws DataError
// naming `source` and the key: no image, truncated, damaged. JPEG by libjpeg-turbo, anything else by
// OpenCV.
void decode(Record& record, const Decoding& decoding, const std::string& source);
inline void decode(Record& record, Colour colour, const std::string& source) {
  decode(record, Decoding{colour}, source);
}

// By its extension, in upper or lower case; hidden files (".x.jpg") are none.
bool is_image_name(std::string_view path);

// An image file (JPEG, PNG, ..) as a decoded record whose key is the path. Throws DataError.
Record read_image(const std::string& path, const Decoding& decoding = {Colour::colour});

// Scales the pixels of a decoded 8-bit record of 1 or 3 channels: bilinear, with antialiasing where it
// shrinks (as in Pillow and torchvision). The same rule everywhere, in training and in tests.
void resize(Record& record, int64_t height, int64_t width);

// Applies a net's resize rule (AS_IS, SHORT_SIDE, EXACT).
void resize(Record& record, const Preprocessing& rule);

}  // namespace resnet
