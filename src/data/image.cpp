#include "resnet/data/image.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/jpeg.h"
#include "data/resample.h"

namespace resnet {
namespace {

constexpr const char* kNoImage = "not an image that can be decoded (JPEG, PNG, ..)";

// One plane of a record as a matrix that shares its memory.
cv::Mat plane(Record& record, int64_t channel) {
  const auto rows = static_cast<int>(record.shape[1]), columns = static_cast<int>(record.shape[2]);
  return {rows, columns, CV_8UC1, record.bytes.data() + channel * record.shape.count_from(1)};
}

// Gives the record new pixels of a given shape, planes unset.
void reshape(Record& record, int64_t channels, int64_t height, int64_t width) {
  record.shape = {channels, height, width};
  record.bytes.resize(static_cast<size_t>(record.shape.count()));
}

void set_pixels(Record& record, const cv::Mat& image) {
  reshape(record, image.channels(), image.rows, image.cols);
  std::vector<cv::Mat> planes;
  planes.reserve(static_cast<size_t>(image.channels()));
  for (int c = 0; c < image.channels(); ++c) planes.push_back(plane(record, c));
  cv::split(image, planes.data());
}

// Byte c of every word becomes plane c.
void set_pixels(Record& record, int64_t channels, const Pixels& pixels) {
  reshape(record, channels, pixels.part.height, pixels.part.width);
  const auto* bytes = reinterpret_cast<const uint8_t*>(pixels.words.data());
  for (int64_t c = 0; c < channels; ++c) {
    uint8_t* out = record.bytes.data() + c * record.shape.count_from(1);
    for (size_t i = 0; i < pixels.size(); ++i) out[i] = bytes[4 * i + static_cast<size_t>(c)];
  }
}

// The part of a record of planes.
void pack(const Record& record, const Rect& part, Pixels* out) {
  out->reset(part);
  std::fill_n(out->words.begin(), out->size(), 0);
  for (int64_t c = 0; c < record.shape[0]; ++c) {
    for (int64_t y = part.top; y < part.bottom(); ++y) {
      const uint8_t* row =
          record.bytes.data() + (c * record.shape[1] + y) * record.shape[2] + part.left;
      auto* bytes = reinterpret_cast<uint8_t*>(out->row(y)) + c;
      for (int64_t x = 0; x < part.width; ++x) bytes[4 * x] = row[x];
    }
  }
}

// Changes the number of planes of pixels that are there already.
void recolour(Record& record, Colour colour) {
  const int64_t size = record.shape.count_from(1);
  if (colour == Colour::colour && record.shape[0] == 1) {
    const std::vector<uint8_t> grey = record.bytes;
    reshape(record, 3, record.shape[1], record.shape[2]);
    for (int64_t c = 0; c < 3; ++c)
      std::copy_n(grey.begin(), size, record.bytes.begin() + c * size);
  } else if (colour == Colour::grey && record.shape[0] == 3) {
    cv::Mat image, grey;
    cv::merge(std::vector{plane(record, 0), plane(record, 1), plane(record, 2)}, image);
    cv::cvtColor(image, grey, cv::COLOR_BGR2GRAY);
    set_pixels(record, grey);
  }
}

bool has_pixels(const Record& record) { return !record.bytes.empty() && record.shape.rank() == 3; }

bool needs_recolour(const Record& record, Colour colour) {
  return has_pixels(record) && ((colour == Colour::colour && record.shape[0] == 1) ||
                                (colour == Colour::grey && record.shape[0] == 3));
}

int read_mode(const Decoding& decoding) {
  const int channels = decoding.colour == Colour::colour ? cv::IMREAD_COLOR
                       : decoding.colour == Colour::grey ? cv::IMREAD_GRAYSCALE
                                                         : cv::IMREAD_ANYCOLOR;
  return decoding.exif_orientation ? channels : channels | cv::IMREAD_IGNORE_ORIENTATION;
}

}  // namespace

Image::Image(const Record& record, const Decoding& decoding, const std::string& source)
    : record_(record), decoding_(decoding), source_(source), shape_(record.shape) {
  if (!record.encoded) {
    planes_ = &record;
    if (!needs_recolour(record, decoding.colour)) return;
    whole_ = record;
    recolour(whole_, decoding.colour);
    planes_ = &whole_;
    shape_ = whole_.shape;
    return;
  }
  try {
    if (record.bytes.empty()) throw DataError("empty file");
    if (!is_jpeg(record.bytes)) {
      decode_whole();
      return;
    }
    jpeg_ = std::make_unique<JpegReader>(record.bytes);
    if (jpeg_->components() == 4 || decoding.exif_orientation) {
      if (!jpeg_->is_complete()) throw DataError("the JPEG file is truncated");
      decode_whole();
      return;
    }
  } catch (const DataError& error) {
    throw record_error(source, record.key, error.what());
  }
  const bool grey = decoding.colour == Colour::grey ||
                    (decoding.colour == Colour::as_stored && jpeg_->components() == 1);
  shape_ = {grey ? 1 : 3, jpeg_->height(), jpeg_->width()};
}

Image::~Image() = default;

void Image::decode_whole() {
  cv::Mat image;
  try {
    image = cv::imdecode(record_.bytes, read_mode(decoding_));
  } catch (const cv::Exception&) {
    // An empty image says it all.
  }
  if (image.empty()) throw DataError(kNoImage);
  whole_.key = record_.key;
  whole_.label = record_.label;
  set_pixels(whole_, image);
  planes_ = &whole_;
  shape_ = whole_.shape;
  jpeg_.reset();
}

void Image::read(const Rect& part, Pixels* out) {
  if (planes_) {
    if (planes_->bytes.empty() || (shape_[0] != 1 && shape_[0] != 3)) {
      throw record_error(source_, record_.key,
                         "only 8-bit images of 1 or 3 channels can be scaled, not " + shape_.str());
    }
    return pack(*planes_, part, out);
  }
  try {
    jpeg_->read(part, shape_[0] == 1, out);
  } catch (const DataError& error) {
    throw record_error(source_, record_.key, error.what());
  }
}

Record Image::decoded() {
  if (planes_) return *planes_;
  Pixels pixels;
  read({0, 0, shape_[1], shape_[2]}, &pixels);
  Record out;
  out.key = record_.key;
  out.label = record_.label;
  set_pixels(out, shape_[0], pixels);
  return out;
}

void decode(Record& record, const Decoding& decoding, const std::string& source) {
  if (!record.encoded && !needs_recolour(record, decoding.colour)) return;
  Record out = Image(record, decoding, source).decoded();
  record = std::move(out);
}

Record read_image(const std::string& path, const Decoding& decoding) {
  std::ifstream file(path, std::ios::binary);
  Record record;
  record.key = path;
  record.encoded = true;
  record.bytes.assign(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) throw DataError(path + ": cannot be read");
  decode(record, decoding, path);
  return record;
}

void resize(Record& record, int64_t height, int64_t width) {
  if (record.shape[1] == height && record.shape[2] == width) return;
  const Scaling scaling{{0, 0, record.shape[1], record.shape[2]}, height, width};
  Pixels pixels, scaled;
  Image(record, {}, record.key).read(scaling.box, &pixels);
  resample(pixels, scaling, {0, 0, height, width}, &scaled);
  set_pixels(record, record.shape[0], scaled);
}

void resize(Record& record, const Preprocessing& rule) {
  const int64_t size = rule.resize_size();
  if (size == 0 || rule.resize_rule() == Preprocessing::AS_IS) return;
  if (rule.resize_rule() == Preprocessing::EXACT) return resize(record, size, size);
  const Scaling scaling = scale_shorter_side(record.shape[1], record.shape[2], size);
  resize(record, scaling.height, scaling.width);
}

}  // namespace resnet
