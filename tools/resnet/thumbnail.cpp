#include "thumbnail.h"

#include <algorithm>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>

#include "resnet/data/image.h"

namespace resnet::cli {
namespace {

constexpr int64_t kSide = 128;  // pixels, at most

std::string base64(const std::vector<uint8_t>& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = i; k < i + 3; ++k) group = group << 8 | (k < bytes.size() ? bytes[k] : 0U);
    for (const int shift : {18, 12, 6, 0}) out += kDigits[group >> shift & 63];
  }
  const size_t missing = (3 - bytes.size() % 3) % 3;
  return out.replace(out.size() - missing, missing, missing, '=');
}

cv::Mat picture_of(const Record& record) {
  const int height = static_cast<int>(record.shape[1]), width = static_cast<int>(record.shape[2]);
  std::vector<cv::Mat> planes;
  planes.reserve(static_cast<size_t>(record.shape[0]));
  for (int c = 0; c < static_cast<int>(record.shape[0]); ++c) {
    planes.emplace_back(height, width, CV_8U,
                        const_cast<uint8_t*>(record.bytes.data()) + c * height * width);
  }
  cv::Mat picture;
  cv::merge(planes, picture);
  return picture;
}

}  // namespace

std::string thumbnail_uri(Record record, const std::string& source) {
  if (record.bytes.empty()) return "";
  decode(record, Colour::as_stored, source);
  if (record.shape.rank() != 3 || (record.shape[0] != 1 && record.shape[0] != 3)) return "";
  const int64_t longer = std::max(record.shape[1], record.shape[2]);
  if (longer > kSide) {
    const auto scaled = [&](int64_t side) { return std::max<int64_t>(1, side * kSide / longer); };
    resize(record, scaled(record.shape[1]), scaled(record.shape[2]));
  }
  std::vector<uint8_t> bytes;
  const bool small = longer <= kSide;
  if (!cv::imencode(small ? ".png" : ".jpg", picture_of(record), bytes)) return "";
  return (small ? "data:image/png;base64," : "data:image/jpeg;base64,") + base64(bytes);
}

}  // namespace resnet::cli
