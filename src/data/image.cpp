#include "resnet/data/image.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

namespace resnet {
namespace {

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

int read_mode(Colour colour) {
  const int channels = colour == Colour::colour ? cv::IMREAD_COLOR
                       : colour == Colour::grey ? cv::IMREAD_GRAYSCALE
                                                : cv::IMREAD_ANYCOLOR;
  return channels | cv::IMREAD_IGNORE_ORIENTATION;
}

}  // namespace

void decode(Record& record, Colour colour, const std::string& source) {
  if (!record.encoded) {
    if (!record.bytes.empty() && record.shape.rank() == 3) recolour(record, colour);
    return;
  }
  cv::Mat image;
  try {
    image = cv::imdecode(record.bytes, read_mode(colour));
  } catch (const cv::Exception&) {
    // An empty image says it all.
  }
  if (image.empty()) {
    throw record_error(source, record.key, "not an image that can be decoded (JPEG, PNG, ..)");
  }
  set_pixels(record, image);
  record.encoded = false;
}

Record read_image(const std::string& path, Colour colour) {
  std::ifstream file(path, std::ios::binary);
  Record record;
  record.key = path;
  record.encoded = true;
  record.bytes.assign(std::istreambuf_iterator<char>(file), {});
  if (!file.is_open() || file.bad()) throw DataError(path + ": cannot be read");
  if (record.bytes.empty()) throw DataError(path + ": empty file");
  try {
    decode(record, colour, path);
  } catch (const DataError&) {
    throw DataError(path + ": not an image that can be decoded (JPEG, PNG, ..)");
  }
  return record;
}

void resize(Record& record, int64_t height, int64_t width) {
  if (record.shape[1] == height && record.shape[2] == width) return;
  const bool shrinks = height < record.shape[1] || width < record.shape[2];
  Record scaled;
  reshape(scaled, record.shape[0], height, width);
  for (int64_t c = 0; c < record.shape[0]; ++c) {
    cv::Mat to = plane(scaled, c);
    cv::resize(plane(record, c), to, to.size(), 0, 0, shrinks ? cv::INTER_AREA : cv::INTER_LINEAR);
  }
  record.shape = scaled.shape;
  record.bytes = std::move(scaled.bytes);
}

void resize(Record& record, const Preprocessing& rule) {
  const int64_t size = rule.resize_size();
  if (size == 0 || rule.resize_rule() == Preprocessing::AS_IS) return;
  if (rule.resize_rule() == Preprocessing::EXACT) return resize(record, size, size);
  const int64_t height = record.shape[1], width = record.shape[2];
  const double factor = static_cast<double>(size) / static_cast<double>(std::min(height, width));
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(size, std::llround(static_cast<double>(side) * factor));
  };
  resize(record, scaled(height), scaled(width));
}

}  // namespace resnet
