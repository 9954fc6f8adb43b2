#include "classifier/image_records.h"

namespace resnet {
namespace {

constexpr int64_t kLongestSide = int64_t{1} << 20;  // pixels

Record record(const ImageFile& file, const Decoding& decoding) {
  return read_image(file.path, decoding);
}

Record record(const EncodedImage& image, const Decoding& decoding) {
  Record out;
  out.key = image.name;
  out.encoded = true;
  out.bytes.assign(image.bytes.begin(), image.bytes.end());
  decode(out, decoding, image.name);
  return out;
}

Record record(const BgrImage& image, const Decoding& decoding) {
  const auto sane = [](int64_t side) { return side > 0 && side <= kLongestSide; };
  const int64_t stride = image.stride == 0 ? 3 * image.width : image.stride;
  if (image.data == nullptr || !sane(image.width) || !sane(image.height) ||
      stride < 3 * image.width) {
    throw ConfigError(image.name + ": " + std::to_string(image.width) + "x" +
                      std::to_string(image.height) + " pixels with a stride of " +
                      std::to_string(image.stride) + " bytes are no image");
  }
  Record out;
  out.key = image.name;
  out.shape = {3, image.height, image.width};
  out.bytes.resize(static_cast<size_t>(out.shape.count()));
  uint8_t* plane = out.bytes.data();
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < image.height; ++y) {
      const uint8_t* pixel = image.data + y * stride + c;
      for (int64_t x = 0; x < image.width; ++x, pixel += 3) *plane++ = *pixel;
    }
  }
  decode(out, decoding, image.name);  // to grey, where the net wants that
  return out;
}

}  // namespace

Record record_of(const AnyImage& image, const Decoding& decoding) {
  return std::visit([&](const auto& of) { return record(of, decoding); }, image);
}

}  // namespace resnet
