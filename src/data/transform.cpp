#include "resnet/data/transform.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "resnet/base/random.h"

namespace resnet {
namespace {

// The shape (C,H,W) of a mean image in a blob: three dimensions, or four of which the first is 1.
Shape mean_shape(const BlobProto& blob, const std::string& place) {
  std::vector<int64_t> dims(blob.shape().dim().begin(), blob.shape().dim().end());
  if (!blob.has_shape()) dims = {blob.num(), blob.channels(), blob.height(), blob.width()};
  if (dims.size() == 4 && dims[0] == 1) dims.erase(dims.begin());
  const bool sane =
      std::all_of(dims.begin(), dims.end(), [](int64_t dim) { return dim > 0 && dim < (1 << 20); });
  if (dims.size() != 3 || !sane || Shape(dims).count() != blob.data_size()) {
    throw DataError(place + ": not the mean of images: its shape and number of values do not fit");
  }
  return Shape(dims);
}

BlobProto read_blob(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw DataError(path + ": mean file cannot be read; `resnet mean` makes one");
  BlobProto blob;
  if (!blob.ParseFromIstream(&file)) throw DataError(path + ": not a mean file (BlobProto)");
  return blob;
}

// The window of the image with its padding that becomes the output: the source pixel of output
// (y, x) is (top + y, left + x), mirrored: (top + y, left + width - 1 - x).
struct Window {
  int64_t top = 0, left = 0, height = 0, width = 0;
  bool mirrored = false;
};

// One row of a plane. `mean` may be null; outside the image the output is zero.
template <class Pixel>
void write_row(const Pixel* pixels, const float* mean, float mean_value, float scale, int64_t width,
               const Window& window, float* out) {
  const int64_t begin = std::clamp<int64_t>(-window.left, 0, window.width);
  const int64_t end = std::clamp<int64_t>(width - window.left, begin, window.width);
  std::fill(out, out + begin, 0.0f);
  for (int64_t x = begin; x < end; ++x) {
    const int64_t at = window.left + x;
    out[x] = (static_cast<float>(pixels[at]) - (mean ? mean[at] : mean_value)) * scale;
  }
  std::fill(out + end, out + window.width, 0.0f);
  if (window.mirrored) std::reverse(out, out + window.width);
}

}  // namespace

Transformer::Transformer(const TransformationParameter& param, Phase phase,
                         const std::string& base_dir)
    : phase_(phase),
      crop_size_(param.crop_size()),
      pad_(phase == TRAIN ? param.pad() : 0),
      mirror_(phase == TRAIN && param.mirror()),
      scale_(param.scale()),
      mean_(param.mean_value().begin(), param.mean_value().end()) {
  if (param.has_mean_file() && param.mean_value_size() > 0) {
    throw ConfigError("transform_param has both mean_file and mean_value; remove one");
  }
  if (param.force_color() && param.force_gray()) {
    throw ConfigError("transform_param has both force_color and force_gray; remove one");
  }
  if (param.force_color()) colour_ = Colour::colour;
  if (param.force_gray()) colour_ = Colour::grey;
  if (param.has_mean_file()) {
    const std::string path = resolve_path(param.mean_file(), base_dir);
    const BlobProto mean = read_blob(path);
    mean_shape_ = mean_shape(mean, path);
    mean_.assign(mean.data().begin(), mean.data().end());
  }
}

Transformer::Transformer(const Preprocessing& preprocessing)
    : crop_size_(preprocessing.crop_size()),
      scale_(preprocessing.scale()),
      mean_(preprocessing.mean_value().begin(), preprocessing.mean_value().end()) {
  if (preprocessing.channel_order() == Preprocessing::RGB) {
    throw DataError("the weights ask for images in R,G,B order; only B,G,R is supported");
  }
  colour_ = preprocessing.channel_order() == Preprocessing::GRAY ? Colour::grey : Colour::colour;
  if (preprocessing.has_mean()) {
    mean_shape_ = mean_shape(preprocessing.mean(), "preprocessing stored with the weights");
    mean_.assign(preprocessing.mean().data().begin(), preprocessing.mean().data().end());
  }
}

Shape Transformer::output_shape(const Shape& record) const {
  if (record.rank() != 3) {
    if (crop_size_ == 0 && pad_ == 0 && mean_.empty() && !mirror_) return record;
    throw ConfigError("transform_param works on images (C,H,W), not on records of shape " +
                      record.str());
  }
  if (mean_shape_.rank() && mean_shape_ != record) {
    throw ConfigError("the mean image has shape " + mean_shape_.str() + ", the records " +
                      record.str());
  }
  if (!mean_shape_.rank() && mean_.size() > 1 && static_cast<int64_t>(mean_.size()) != record[0]) {
    throw ConfigError(std::to_string(mean_.size()) + " mean_values for records of shape " +
                      record.str());
  }
  if (crop_size_ == 0) return record;
  if (crop_size_ > record[1] + 2 * pad_ || crop_size_ > record[2] + 2 * pad_) {
    throw ConfigError("crop_size " + std::to_string(crop_size_) + " is larger than the records, " +
                      record.str() + (pad_ ? " with pad " + std::to_string(pad_) : ""));
  }
  return {record[0], crop_size_, crop_size_};
}

void Transformer::apply(const Record& record, uint64_t seed, int64_t position, float* out) const {
  const Shape output = output_shape(record.shape);
  if (output.rank() != 3) {
    for (size_t i = 0; i < record.floats.size(); ++i) out[i] = record.floats[i] * scale_;
    return;
  }
  const int64_t height = record.shape[1], width = record.shape[2];
  Window window{(height - output[1]) / 2, (width - output[2]) / 2, output[1], output[2]};
  if (phase_ == TRAIN) {
    const auto place = static_cast<uint64_t>(position);
    Random crop(seed, place, Use::crop);
    const auto draw = [&](int64_t free) {
      return static_cast<int64_t>(crop.below(static_cast<uint32_t>(free + 2 * pad_ + 1))) - pad_;
    };
    window.top = draw(height - output[1]);
    window.left = draw(width - output[2]);
    window.mirrored = mirror_ && Random(seed, place, Use::flip).below(2) == 1;
  }
  for (int64_t c = 0; c < output[0]; ++c) {
    const float* mean = mean_shape_.rank() ? mean_.data() + c * height * width : nullptr;
    for (int64_t y = 0; y < window.height; ++y, out += window.width) {
      const int64_t row = window.top + y;
      if (row < 0 || row >= height) {
        std::fill(out, out + window.width, 0.0f);
        continue;
      }
      const int64_t start = (c * height + row) * width;
      const auto write = [&](const auto* pixels) {
        write_row(pixels + start, mean ? mean + row * width : nullptr, mean_at(c, 0), scale_, width,
                  window, out);
      };
      record.floats.empty() ? write(record.bytes.data()) : write(record.floats.data());
    }
  }
}

// The mean of a pixel of a plane; with mean values the pixel does not matter.
float Transformer::mean_at(int64_t channel, int64_t pixel) const {
  if (mean_.empty()) return 0;
  if (mean_shape_.rank())
    return mean_[static_cast<size_t>(channel * mean_shape_.count_from(1) + pixel)];
  return mean_.size() == 1 ? mean_[0] : mean_[static_cast<size_t>(channel)];
}

std::vector<uint8_t> Transformer::denormalise(const float* input, const Shape& shape) const {
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(shape.count()));
  const int64_t width = mean_shape_.rank() ? mean_shape_[2] : shape[2];
  const int64_t height = mean_shape_.rank() ? mean_shape_[1] : shape[1];
  const int64_t top = (height - shape[1]) / 2, left = (width - shape[2]) / 2;
  for (int64_t c = 0; c < shape[0]; ++c) {
    for (int64_t y = 0; y < shape[1]; ++y) {
      for (int64_t x = 0; x < shape[2]; ++x, ++input) {
        const float value = *input / scale_ + mean_at(c, (top + y) * width + left + x);
        pixels.push_back(static_cast<uint8_t>(std::clamp(std::round(value), 0.0f, 255.0f)));
      }
    }
  }
  return pixels;
}

Preprocessing Transformer::preprocessing(const Shape& record) const {
  Preprocessing out;
  if (crop_size_) out.set_crop_size(static_cast<uint32_t>(crop_size_));
  out.set_scale(scale_);
  if (mean_shape_.rank()) {
    for (const int64_t dim : mean_shape_.dims()) out.mutable_mean()->mutable_shape()->add_dim(dim);
    out.mutable_mean()->mutable_data()->Add(mean_.begin(), mean_.end());
  } else {
    out.mutable_mean_value()->Add(mean_.begin(), mean_.end());
  }
  if (record.rank() != 3) return out;
  out.set_channel_order(record[0] == 1 ? Preprocessing::GRAY : Preprocessing::BGR);
  out.set_resize_rule(record[1] == record[2] ? Preprocessing::EXACT : Preprocessing::SHORT_SIDE);
  out.set_resize_size(static_cast<uint32_t>(std::min(record[1], record[2])));
  return out;
}

}  // namespace resnet
