#include "resnet/data/transform.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>

#include "data/feed_row.h"
#include "data/geometry.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

constexpr int64_t kMostSide = 65536;  // pixels of a scaled or cropped image

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

// Seconds since the last call, where they are asked for.
class StopWatch {
 public:
  explicit StopWatch(bool runs) : runs_(runs) {
    if (runs_) last_ = Clock::now();
  }
  double lap() {
    if (!runs_) return 0;
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool runs_;
  Clock::time_point last_;
};

// A part of the image with a share of its area from [min, max] and an aspect ratio from
// [1 / aspect, aspect]; after ten misses, the largest centred part of a permitted aspect ratio.
Rect draw_part(Random& random, int64_t height, int64_t width, double min, double max,
               double aspect) {
  const double sides = static_cast<double>(width) / static_cast<double>(height);
  for (int i = 0; i < 10; ++i) {
    const double area = (min + (max - min) * random.uniform()) * static_cast<double>(height) *
                        static_cast<double>(width);
    const double ratio = std::exp((2.0 * random.uniform() - 1) * std::log(aspect));
    const int64_t w = std::llround(std::sqrt(area * ratio));
    const int64_t h = std::llround(std::sqrt(area / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const int64_t top = random.below(static_cast<uint32_t>(height - h + 1));
    const int64_t left = random.below(static_cast<uint32_t>(width - w + 1));
    return {top, left, h, w};
  }
  int64_t h = height, w = width;
  if (sides < 1 / aspect) h = std::llround(static_cast<double>(width) * aspect);
  if (sides > aspect) w = std::llround(static_cast<double>(height) * aspect);
  return {(height - h) / 2, (width - w) / 2, h, w};
}

void check_ranges(const TransformationParameter& param) {
  const auto refuse = [](const std::string& fact) {
    throw ConfigError("transform_param: " + fact);
  };
  if (param.has_resize_shorter_max() && param.resize_shorter_max() < param.resize_shorter_min()) {
    refuse("resize_shorter_max is below resize_shorter_min");
  }
  if (param.has_resize_shorter_max() && param.resize_shorter_min() == 0) {
    refuse("resize_shorter_max without resize_shorter_min");
  }
  if (std::max(param.resize_shorter_min(), param.resize_shorter_max()) > kMostSide) {
    refuse("resize_shorter_min and resize_shorter_max are at most " + std::to_string(kMostSide));
  }
  if (param.resize_shorter_max() > param.resize_shorter_min() && param.crop_size() == 0) {
    refuse("resize_shorter_max needs crop_size, since the inputs of a net are of one size");
  }
  const bool area = param.crop_area_min() != 0;
  if (area && !(param.crop_area_min() > 0 && param.crop_area_min() <= param.crop_area_max() &&
                param.crop_area_max() <= 1)) {
    refuse("crop_area_min and crop_area_max are shares, 0 < min <= max <= 1");
  }
  if (area && !(param.crop_aspect() >= 1)) refuse("crop_aspect is at least 1");
  if (area && param.crop_size() == 0) refuse("crop_area_min needs crop_size");
  if (area && param.pad() > 0) refuse("crop_area_min excludes pad; remove one");
  if (!(param.color_std() >= 0)) refuse("color_std is not negative");
}

// Fetches a row into the cache: it is written only after its pixels have been computed, and by then no
// store has to wait for memory.
void prefetch_row(const float* row, int64_t count) {
  constexpr int64_t kLineFloats = 16;
  for (int64_t i = 0; i < count; i += kLineFloats) __builtin_prefetch(row + i, 1);
}

}  // namespace

Transformer::Transformer(const TransformationParameter& param, Phase phase,
                         const std::string& base_dir)
    : phase_(phase),
      decoding_{Colour::as_stored, param.exif_orientation()},
      crop_size_(param.crop_size()),
      pad_(phase == TRAIN ? param.pad() : 0),
      resize_min_(param.resize_shorter_min()),
      resize_max_(param.has_resize_shorter_max() ? param.resize_shorter_max()
                                                 : param.resize_shorter_min()),
      area_min_(phase == TRAIN ? param.crop_area_min() : 0),
      area_max_(param.crop_area_max()),
      aspect_(param.crop_aspect()),
      mirror_(phase == TRAIN && param.mirror()),
      scale_(param.scale()),
      mean_(param.mean_value().begin(), param.mean_value().end()) {
  if (param.has_mean_file() && param.mean_value_size() > 0) {
    throw ConfigError("transform_param has both mean_file and mean_value; remove one");
  }
  if (param.force_color() && param.force_gray()) {
    throw ConfigError("transform_param has both force_color and force_gray; remove one");
  }
  check_ranges(param);
  if (param.force_color()) decoding_.colour = Colour::colour;
  if (param.force_gray()) decoding_.colour = Colour::grey;
  if (phase == TEST) resize_max_ = resize_min_;
  if (param.has_mean_file()) {
    const std::string path = resolve_path(param.mean_file(), base_dir);
    const BlobProto mean = read_blob(path);
    mean_shape_ = mean_shape(mean, path);
    mean_.assign(mean.data().begin(), mean.data().end());
  }
  if (phase == TRAIN && param.color_std() > 0) {
    colour_shift_ = {param.color_std(), param.has_color_file() ? read_colours(resolve_path(
                                                                     param.color_file(), base_dir))
                                                               : PrincipalColours::imagenet()};
  }
}

Transformer::Transformer(const Preprocessing& preprocessing)
    : crop_size_(preprocessing.crop_size()),
      scale_(preprocessing.scale()),
      mean_(preprocessing.mean_value().begin(), preprocessing.mean_value().end()) {
  if (preprocessing.channel_order() == Preprocessing::RGB) {
    throw DataError("the weights ask for images in R,G,B order; only B,G,R is supported");
  }
  decoding_ = {preprocessing.channel_order() == Preprocessing::GRAY ? Colour::grey : Colour::colour,
               preprocessing.exif_orientation()};
  const int64_t size = preprocessing.resize_size();
  if (std::max(size, crop_size_) > kMostSide) {
    throw DataError("the weights ask for images of " + std::to_string(std::max(size, crop_size_)) +
                    " pixels a side; at most " + std::to_string(kMostSide) + " are supported");
  }
  if (preprocessing.resize_rule() == Preprocessing::SHORT_SIDE) resize_min_ = resize_max_ = size;
  if (preprocessing.resize_rule() == Preprocessing::EXACT) exact_size_ = size;
  if (preprocessing.has_mean()) {
    mean_shape_ = mean_shape(preprocessing.mean(), "preprocessing stored with the weights");
    mean_.assign(preprocessing.mean().data().begin(), preprocessing.mean().data().end());
  }
}

Shape Transformer::output_shape(const Shape& image) const {
  if (image.rank() != 3) {
    if (crop_size_ == 0 && pad_ == 0 && mean_.empty() && !mirror_ && !scales()) return image;
    throw ConfigError("transform_param works on images (C,H,W), not on records of shape " +
                      image.str());
  }
  if (!mean_shape_.rank() && mean_.size() > 1 && static_cast<int64_t>(mean_.size()) != image[0]) {
    throw ConfigError(std::to_string(mean_.size()) + " mean_values for records of shape " +
                      image.str());
  }
  if (colour_shift_ && image[0] != 3) {
    throw ConfigError("color_std is for colour images, not for records of shape " + image.str());
  }
  const Shape scaled = scaled_shape(image);
  Shape output = scaled;
  if (crop_size_ > 0) {
    if (area_min_ == 0 &&
        (crop_size_ > scaled[1] + 2 * pad_ || crop_size_ > scaled[2] + 2 * pad_)) {
      throw ConfigError("crop_size " + std::to_string(crop_size_) +
                        " is larger than the records, " + scaled.str() +
                        (pad_ ? " with pad " + std::to_string(pad_) : "") +
                        (scales() ? ", scaled" : ""));
    }
    output = {image[0], crop_size_, crop_size_};
  }
  if (mean_shape_.rank() && mean_shape_ != output && !mean_is_of_image(image)) {
    throw ConfigError("the mean image has shape " + mean_shape_.str() + ", the records " +
                      image.str() + (output == image ? "" : ", the net's input " + output.str()));
  }
  return output;
}

// The least that an image may become before the window is cut out.
Shape Transformer::scaled_shape(const Shape& image) const {
  if (exact_size_ > 0) return {image[0], exact_size_, exact_size_};
  if (resize_min_ == 0) return image;
  const Scaling scaling = scale_shorter_side(image[1], image[2], resize_min_);
  return {image[0], scaling.height, scaling.width};
}

// Whether the mean image has a value for each pixel of such an image, scaled to a fixed size or not.
bool Transformer::mean_is_of_image(const Shape& image) const {
  const bool draws_size = area_min_ > 0 || resize_max_ > resize_min_;
  return !draws_size && mean_shape_ == scaled_shape(image);
}

Geometry Transformer::geometry(const Shape& image, uint64_t seed, int64_t position) const {
  const auto place = static_cast<uint64_t>(position);
  const int64_t height = image[1], width = image[2];
  const Rect whole{0, 0, height, width};
  Geometry out;
  Random crop(seed, place, Use::crop);
  if (area_min_ > 0) {
    out.scaling = {draw_part(crop, height, width, area_min_, area_max_, aspect_), crop_size_,
                   crop_size_};
    out.window = {0, 0, crop_size_, crop_size_};
    if (out.scaling.is_identity()) {
      out.window = out.scaling.box;
      out.scaling = {whole, height, width};
    }
  } else {
    out.scaling = {whole, height, width};
    if (exact_size_ > 0) out.scaling = {whole, exact_size_, exact_size_};
    if (resize_min_ > 0) {
      int64_t size = resize_min_;
      if (resize_max_ > resize_min_) {
        size += Random(seed, place, Use::scale)
                    .below(static_cast<uint32_t>(resize_max_ - resize_min_ + 1));
      }
      out.scaling = scale_shorter_side(height, width, size);
    }
    const int64_t down = out.scaling.height - (crop_size_ ? crop_size_ : out.scaling.height);
    const int64_t right = out.scaling.width - (crop_size_ ? crop_size_ : out.scaling.width);
    out.window = {down / 2, right / 2, out.scaling.height - down, out.scaling.width - right};
    if (phase_ == TRAIN) {
      const auto draw = [&](int64_t free) {
        return static_cast<int64_t>(crop.below(static_cast<uint32_t>(free + 2 * pad_ + 1))) - pad_;
      };
      out.window.top = draw(down);
      out.window.left = draw(right);
    }
  }
  out.mirrored = mirrors(seed, position);
  return out;
}

std::optional<CropRule> Transformer::crop_rule(const Shape& image) const {
  if (phase_ != TRAIN || scales() || colour_shift_ || image.rank() != 3 ||
      output_shape(image)[0] != image[0]) {
    return std::nullopt;
  }
  CropRule rule{.height = crop_size_ ? crop_size_ : image[1],
                .width = crop_size_ ? crop_size_ : image[2],
                .pad = pad_,
                .mirror = mirror_,
                .scale = scale_,
                .mean_shape = mean_shape_,
                .mean = mean_,
                .mean_of_window = mean_shape_.rank() && !mean_is_of_image(image)};
  if (mean_shape_.rank() == 0) {  // values, one for all channels, one each, or none
    rule.mean_shape = {image[0]};
    rule.mean.clear();
    for (int64_t c = 0; c < image[0]; ++c) rule.mean.push_back(mean_at(c, 0));
  }
  return rule;
}

bool Transformer::mirrors(uint64_t seed, int64_t position) const {
  return mirror_ && Random(seed, static_cast<uint64_t>(position), Use::flip).below(2) == 1;
}

// How one image is fed.
struct Transformer::Placement {
  Geometry geometry;
  std::array<float, 3> shift{};  // of the colours B, G, R
  bool mean_of_window = false;   // the mean image is as large as the window, not as the image
  Shape output;
};

// Writes the planes of the output, row by row. row_at(y) gives the pixels of row y from column inside.left of
// the scaled image on (feed_row.h), of which `inside` is fed; around it is padding.
template <class RowAt>
void Transformer::write(const Placement& place, const Rect& inside, const RowAt& row_at,
                        float* out) const {
  const Rect& window = place.geometry.window;
  const bool mirrored = place.geometry.mirrored;
  const int64_t left = inside.left - window.left, right = window.right() - inside.right();
  const int64_t begin = mirrored ? right : left, end = begin + inside.width;
  const auto feed_of = [&](int64_t c, int64_t y) {
    const float shift = c < 3 ? place.shift[static_cast<size_t>(c)] : 0;
    FeedRow row{inside.width, mean_at(c, 0) - shift, nullptr, shift, scale_, mirrored};
    if (mean_shape_.rank()) {
      const float* mean = mean_.data() + c * mean_shape_.count_from(1);
      row.means = place.mean_of_window ? mean + (y - window.top) * window.width + left
                                       : mean + y * mean_shape_[2] + inside.left;
    }
    return row;
  };
  const int64_t planes = place.output[0];
  const auto plane_row = [&](int64_t c, int64_t y) {
    return out + (c * window.height + y - window.top) * window.width;
  };
  for (int64_t y = window.top; y < window.bottom(); ++y) {
    if (y < inside.top || y >= inside.bottom()) {
      for (int64_t c = 0; c < planes; ++c) std::fill_n(plane_row(c, y), window.width, 0.0F);
      continue;
    }
    for (int64_t c = 0; c < planes; ++c) prefetch_row(plane_row(c, y), window.width);
    const auto pixels = row_at(y);
    for (int64_t c = 0; c < planes; ++c) {
      float* const row = plane_row(c, y);
      std::fill(row, row + begin, 0.0F);
      pixels.feed(c, feed_of(c, y), row + begin);
      std::fill(row + end, row + window.width, 0.0F);
    }
  }
}

// Finds out how the image is fed and calls write(place, inside, row_at) with its pixels, as above.
template <class Write>
void Transformer::deliver(Image& image, uint64_t seed, int64_t position, StageSeconds* seconds,
                          const Write& write) const {
  StopWatch watch(seconds != nullptr);
  Placement place{{}, {}, false, output_shape(image.shape())};
  place.geometry = geometry(image.shape(), seed, position);
  place.mean_of_window = mean_shape_.rank() && !mean_is_of_image(image.shape());
  if (colour_shift_) place.shift = colour_shift_.draw(seed, position);
  const Scaling& scaling = place.geometry.scaling;
  const Rect inside = intersection(place.geometry.window, {0, 0, scaling.height, scaling.width});
  if (scaling.is_identity() && image.planes()) {
    const Record& planes = *image.planes();
    const int64_t width = planes.shape[2], plane = planes.shape[1] * width;
    const auto write_from = [&](const auto* levels) {
      const auto row_at = [&](int64_t y) {
        return PlaneRow{levels + y * width + inside.left, plane};
      };
      write(place, inside, row_at);
    };
    planes.floats.empty() ? write_from(planes.bytes.data()) : write_from(planes.floats.data());
    if (seconds) seconds->write += watch.lap();
    return;
  }

  static thread_local Pixels decoded;
  image.read(source_part(scaling, inside), &decoded);
  if (seconds) seconds->decode += watch.lap();
  if (scaling.is_identity()) {
    write(place, inside,
          [&](int64_t y) { return PixelRow{decoded.row(y) + (inside.left - decoded.part.left)}; });
    if (seconds) seconds->write += watch.lap();
    return;
  }
  const auto rows = scaled_rows(decoded, scaling, inside);
  write(place, inside, [&](int64_t y) { return PixelRow{rows->row(y)}; });
  if (seconds) seconds->resize += watch.lap();
}

void Transformer::apply(const Record& record, uint64_t seed, int64_t position, float* out) const {
  Image image(record, decoding_, record.key);
  apply(image, seed, position, out);
}

void Transformer::apply(Image& image, uint64_t seed, int64_t position, float* out,
                        StageSeconds* seconds) const {
  if (output_shape(image.shape()).rank() != 3) {
    const std::vector<float>& values = image.record().floats;
    for (size_t i = 0; i < values.size(); ++i) out[i] = values[i] * scale_;
    return;
  }
  deliver(image, seed, position, seconds,
          [&](const Placement& place, const Rect& inside, const auto& row_at) {
            write(place, inside, row_at, out);
          });
}

void Transformer::apply(Image& image, uint64_t seed, int64_t position, uint8_t* levels,
                        float* place, StageSeconds* seconds) const {
  if (!image.record().floats.empty() || image.shape().rank() != 3) throw NotPixels();
  const auto copy = [&](const Placement& how, const Rect& inside, const auto& row_at) {
    const Rect& window = how.geometry.window;
    const int64_t top = inside.top - window.top, left = inside.left - window.left;
    const auto set = [&](int i, auto value) { place[i] = static_cast<float>(value); };
    for (size_t c = 0; c < 3; ++c) place[placement::kShift + c] = how.shift[c];
    set(placement::kMirrored, how.geometry.mirrored);
    set(placement::kTop, top);
    set(placement::kLeft, left);
    set(placement::kBottom, top + inside.height);
    set(placement::kRight, left + inside.width);
    set(placement::kMeanTop, how.mean_of_window ? 0 : window.top);
    set(placement::kMeanLeft, how.mean_of_window ? 0 : window.left);
    for (int64_t y = inside.top; y < inside.bottom(); ++y) {
      const auto pixels = row_at(y);
      for (int64_t c = 0; c < how.output[0]; ++c) {
        const int64_t row = c * window.height + y - window.top;
        pixels.copy(c, inside.width, levels + row * window.width + left);
      }
    }
  };
  deliver(image, seed, position, seconds, copy);
}

PixelRule Transformer::pixel_rule(int64_t channels) const {
  if (mean_shape_.rank()) return {.mean_shape = mean_shape_, .mean = mean_, .scale = scale_};
  PixelRule rule{.mean_shape = {channels}, .mean = {}, .scale = scale_};
  for (int64_t c = 0; c < channels; ++c) rule.mean.push_back(mean_at(c, 0));
  return rule;
}

// The mean of a pixel of a plane; with mean values the pixel does not matter.
float Transformer::mean_at(int64_t channel, int64_t pixel) const {
  if (mean_.empty()) return 0;
  if (mean_shape_.rank())
    return mean_[static_cast<size_t>(channel * mean_shape_.count_from(1) + pixel)];
  return mean_.size() == 1 ? mean_[0] : mean_[static_cast<size_t>(channel)];
}

std::vector<uint8_t> Transformer::denormalise(const float* input, const Shape& shape,
                                              bool mirrored) const {
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(shape.count()));
  const int64_t width = mean_shape_.rank() ? mean_shape_[2] : shape[2];
  const int64_t height = mean_shape_.rank() ? mean_shape_[1] : shape[1];
  const int64_t top = (height - shape[1]) / 2, left = (width - shape[2]) / 2;
  for (int64_t c = 0; c < shape[0]; ++c) {
    for (int64_t y = 0; y < shape[1]; ++y) {
      for (int64_t x = 0; x < shape[2]; ++x, ++input) {
        const int64_t column = mirrored ? shape[2] - 1 - x : x;
        const float value = *input / scale_ + mean_at(c, (top + y) * width + left + column);
        pixels.push_back(static_cast<uint8_t>(std::clamp(std::round(value), 0.0f, 255.0f)));
      }
    }
  }
  return pixels;
}

Preprocessing Transformer::preprocessing(const Shape& image) const {
  Preprocessing out;
  if (crop_size_) out.set_crop_size(static_cast<uint32_t>(crop_size_));
  out.set_scale(scale_);
  if (mean_shape_.rank()) {
    for (const int64_t dim : mean_shape_.dims()) out.mutable_mean()->mutable_shape()->add_dim(dim);
    out.mutable_mean()->mutable_data()->Add(mean_.begin(), mean_.end());
  } else {
    out.mutable_mean_value()->Add(mean_.begin(), mean_.end());
  }
  if (image.rank() != 3) return out;
  out.set_channel_order(image[0] == 1 ? Preprocessing::GRAY : Preprocessing::BGR);
  if (decoding_.exif_orientation) out.set_exif_orientation(true);
  int64_t size = exact_size_ ? exact_size_ : resize_min_;
  if (size == 0) size = std::min(image[1], image[2]);
  const bool square = exact_size_ > 0 || (resize_min_ == 0 && image[1] == image[2]);
  out.set_resize_rule(square ? Preprocessing::EXACT : Preprocessing::SHORT_SIDE);
  out.set_resize_size(static_cast<uint32_t>(size));
  return out;
}

}  // namespace resnet
