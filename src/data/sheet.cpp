#include "resnet/data/sheet.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "data/geometry.h"
#include "data/permutation.h"

namespace resnet {
namespace {

// All lengths in pixels.
constexpr int kTile = 128;  // images are fitted into this square
constexpr int kGap = 14;
constexpr int kMargin = 22;
constexpr int kHeader = 64;
constexpr int kCaption = 38;          // under each image
constexpr double kWantedRatio = 1.5;  // of width to height

const cv::Scalar kPaper(250, 250, 250), kInk(40, 40, 40), kGrey(125, 125, 125),
    kFrame(205, 205, 205);

int text_width(const std::string& text, double size) {
  return cv::getTextSize(text, cv::FONT_HERSHEY_DUPLEX, size, 1, nullptr).width;
}

// Writes at (x, y), the left end of the baseline, cutting what is wider than `width`. The drawing
// functions know ASCII only.
void put_text(cv::Mat& sheet, std::string text, cv::Point at, double size, const cv::Scalar& colour,
              int width) {
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (text_width(text, size) > width) {
    while (!text.empty() && text_width(text + "..", size) > width) text.pop_back();
    text += "..";
  }
  cv::putText(sheet, text, at, cv::FONT_HERSHEY_DUPLEX, size, colour, 1, cv::LINE_AA);
}

// The image in colour, fitted into the tile: enlarged by a whole factor, or reduced.
cv::Mat fitted(const SheetImage& image) {
  const auto rows = static_cast<int>(image.shape[1]), columns = static_cast<int>(image.shape[2]);
  const int64_t plane = image.shape.count_from(1);
  cv::Mat out(rows, columns, CV_8UC3);
  for (int64_t i = 0; i < plane; ++i) {
    for (int c = 0; c < 3; ++c) {
      const int64_t from = image.shape[0] == 3 ? c * plane + i : i;
      out.data[i * 3 + c] = image.pixels[static_cast<size_t>(from)];
    }
  }
  const int longer = std::max(rows, columns);
  if (longer <= kTile) {
    const int factor = kTile / longer;
    cv::resize(out, out, {}, factor, factor, cv::INTER_NEAREST);
  } else {
    const double factor = static_cast<double>(kTile) / longer;
    cv::resize(out, out, {}, factor, factor, cv::INTER_AREA);
  }
  return out;
}

void draw(cv::Mat& sheet, const SheetImage& image, cv::Point corner) {
  const cv::Mat picture = fitted(image);
  const cv::Rect place(corner.x + (kTile - picture.cols) / 2, corner.y + (kTile - picture.rows) / 2,
                       picture.cols, picture.rows);
  picture.copyTo(sheet(place));
  cv::rectangle(sheet, place + cv::Point(-1, -1) + cv::Size(2, 2), kFrame);
  put_text(sheet, image.caption, {corner.x, corner.y + kTile + 17}, 0.45, kInk, kTile);
  put_text(sheet, image.detail, {corner.x, corner.y + kTile + 32}, 0.33, kGrey, kTile);
}

void check_shown(const DataSource& source, const Shape& shape) {
  if (shape.rank() == 3 && (shape[0] == 1 || shape[0] == 3)) return;
  throw ConfigError(source.name() + ": records of shape " + shape.str() +
                    " cannot be shown; images (1,H,W) or (3,H,W) can");
}

std::string caption_of(const DataSource& source, int64_t label) {
  const std::vector<std::string> names = source.class_names();
  const auto at = static_cast<size_t>(label);
  return at < names.size() ? names[at] : "label " + std::to_string(label);
}

SheetImage stored_image(const DataSource& source, const Decoding& decoding, int64_t index) {
  Record record = source.read(index);
  decode(record, decoding, source.name());
  check_shown(source, record.shape);
  if (record.bytes.empty()) {
    for (const float value : record.floats) {
      record.bytes.push_back(static_cast<uint8_t>(std::clamp(std::round(value), 0.0F, 255.0F)));
    }
  }
  return {record.shape, std::move(record.bytes), caption_of(source, record.label), record.key};
}

// "312 x 416, at 20,31, mirrored": the scaled image, and where the window lies in it.
std::string text_of(const Geometry& geometry) {
  const Scaling& scaling = geometry.scaling;
  const Rect& box = scaling.box;
  std::string text;
  if (box.top || box.left) {
    text = std::to_string(box.height) + " x " + std::to_string(box.width) + " at " +
           std::to_string(box.top) + "," + std::to_string(box.left);
  } else {
    text = std::to_string(scaling.height) + " x " + std::to_string(scaling.width) + " at " +
           std::to_string(geometry.window.top) + "," + std::to_string(geometry.window.left);
  }
  return text + (geometry.mirrored ? ", mirrored" : "");
}

}  // namespace

std::vector<SheetImage> sheet_images(Loader& loader, int64_t count) {
  const Shape shape = loader.record_shape();
  check_shown(loader.source(), shape);
  std::vector<float> data(static_cast<size_t>(loader.batch_shape().count()));
  std::vector<float> labels(static_cast<size_t>(loader.options().batch));
  std::vector<SheetImage> images;
  while (static_cast<int64_t>(images.size()) < count) {
    const int64_t begin = loader.position();
    const int64_t got = loader.next(data.data(), labels.data());
    if (got == 0) break;
    const std::vector<std::string> keys = loader.record_keys(begin, got);
    for (int64_t i = 0; i < std::min(got, count - begin); ++i) {
      const auto at = static_cast<size_t>(i);
      images.push_back({shape,
                        loader.transformer().denormalise(data.data() + i * shape.count(), shape),
                        caption_of(loader.source(), std::llround(labels[at])), keys[at]});
    }
  }
  return images;
}

std::vector<SheetImage> stored_images(const DataSource& source, const Decoding& decoding,
                                      int64_t count, std::optional<uint64_t> shuffle_seed) {
  const int64_t size = source.size();
  const StreamOrder order(shuffle_seed.value_or(0), size, shuffle_seed.has_value());
  std::vector<SheetImage> images;
  for (const int64_t index : order.records(0, std::min(count, size))) {
    images.push_back(stored_image(source, decoding, index));
  }
  return images;
}

std::vector<SheetImage> augmented_images(const Loader& loader, int64_t count, int64_t times) {
  const Transformer& transformer = loader.transformer();
  std::vector<SheetImage> images;
  for (int64_t i = 0; i < std::min(count, loader.size()); ++i) {
    const int64_t index = loader.record_index(i);
    images.push_back(stored_image(loader.source(), transformer.decoding(), index));
    const Record record = loader.source().read(index);
    for (int64_t k = 0; k < times; ++k) {
      Image image(record, transformer.decoding(), loader.source().name());
      const Shape stored = image.shape(), shape = transformer.output_shape(stored);
      std::vector<float> values(static_cast<size_t>(shape.count()));
      const int64_t position = i + k * loader.size();
      transformer.apply(image, loader.options().seed, position, values.data());
      images.push_back({shape, transformer.denormalise(values.data(), shape), "",
                        text_of(transformer.geometry(stored, loader.options().seed, position))});
    }
  }
  return images;
}

void write_sheet(const std::vector<SheetImage>& images, const std::string& title,
                 const std::string& explanation, const std::string& path, int columns) {
  const int cell_width = kTile + kGap, cell_height = kTile + kCaption + kGap;
  const auto count = static_cast<int>(images.size());
  const double wanted = std::sqrt(kWantedRatio * count * cell_height / cell_width);
  if (columns == 0)
    columns = std::clamp(static_cast<int>(std::lround(wanted)), 1, std::max(count, 1));
  const int rows = (count + columns - 1) / columns;
  const int width = std::max(2 * kMargin + columns * cell_width - kGap, 720);
  cv::Mat sheet(kHeader + rows * cell_height + kMargin - kGap, width, CV_8UC3, kPaper);
  put_text(sheet, title, {kMargin, 28}, 0.62, kInk, width - 2 * kMargin);
  put_text(sheet, explanation, {kMargin, 48}, 0.4, kGrey, width - 2 * kMargin);
  for (int i = 0; i < count; ++i) {
    draw(sheet, images[static_cast<size_t>(i)],
         {kMargin + i % columns * cell_width, kHeader + i / columns * cell_height});
  }
  std::vector<uint8_t> png;
  cv::imencode(".png", sheet, png);
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  if (!file.flush()) throw DataError(path + ": cannot be written");
}

}  // namespace resnet
