// From a record's image to the floats that a net is fed (Caffe's transform_param).
#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include "resnet/data/colour.h"
#include "resnet/data/held_set.h"
#include "resnet/data/image.h"
#include "resnet/data/source.h"
#include "resnet/tensor/normalise.h"

namespace resnet {

struct Geometry;  // data/geometry.h
struct Rect;      // data/pixels.h

// An image that has no 8-bit pixels, where those were asked for.
class NotPixels : public std::exception {
 public:
  const char* what() const noexcept override { return "the record holds floats"; }
};

// Seconds that images took on their way, summed.
struct StageSeconds {
  double read = 0;    // from the source
  double decode = 0;  // file format to pixels
  double resize = 0;  // of scaled images, row by row together with what `write` is for others
  double write = 0;   // colours, mean, mirror; to floats
  double copy = 0;    // of batches that loader threads prepared
};

// Immutable; all functions may be called from any thread.
//
// out = (pixel + colour shift - mean) * scale over a window of crop_size pixels of the image, which is
// scaled first where transform_param has a resize rule.
// TRAIN: the shorter side is drawn from [resize_shorter_min, resize_shorter_max] (the paper, section
// 3.4); the window lies anywhere in the image with `pad` pixels of zeros around it (zeros of the net's
// input: the padding comes after the mean, as in section 4.2), and is mirrored half of the time with
// `mirror`. With crop_area_min, the window is instead a part of the image of random area and aspect
// ratio, scaled to crop_size (Szegedy et al. 2015, section 6).
// TEST: the shorter side is resize_shorter_min, the window in the centre, at ((H - crop) / 2,
// (W - crop) / 2), no padding, never mirrored, colours as they are.
// Without crop_size the window has the image's own size. A mean image as large as the images, which
// are then scaled to one size or not at all, is subtracted at the image's pixel; one as large as the
// window at the window's.
class Transformer {
 public:
  // A layer's transform_param; relative paths as in open_source(). Throws ConfigError (mean_file
  // together with mean_value, force_color with force_gray, impossible ranges) and DataError (unreadable
  // mean or colour file).
  Transformer(const TransformationParameter& param, Phase phase, const std::string& base_dir);
  // What travels with the weights, for TEST, with the resize rule. Throws DataError on a mean without a
  // proper shape.
  explicit Transformer(const Preprocessing& preprocessing);

  Phase phase() const { return phase_; }
  const Decoding& decoding() const { return decoding_; }
  Colour colour() const { return decoding_.colour; }

  // Shape of the output for an image of shape (C,H,W). Throws ConfigError when the crop or the mean
  // does not fit. Shapes that are no images pass where nothing is to be cropped.
  Shape output_shape(const Shape& image) const;

  // Which part of such an image is fed at a position of the stream.
  Geometry geometry(const Shape& image, uint64_t seed, int64_t position) const;

  // Writes output_shape() floats. In TRAIN the draws are those of Random(seed, position, use) with
  // Use::scale for the shorter side; Use::crop for row and column, or area, aspect, row and column;
  // Use::flip; Use::colour for the three factors of the principal components. Adds to `seconds` where
  // it is given. Throws DataError as Image does.
  void apply(Image& image, uint64_t seed, int64_t position, float* out,
             StageSeconds* seconds = nullptr) const;
  void apply(const Record& record, uint64_t seed, int64_t position, float* out) const;

  // The same up to the last step, which takes `rule` and what is written here: the window's levels
  // (C,height,width), undefined in padding, and the image's placement (placement::kSize floats). With
  // PlacedPixel it gives the bits that apply() writes. Throws NotPixels, too.
  void apply(Image& image, uint64_t seed, int64_t position, uint8_t* levels, float* place,
             StageSeconds* seconds = nullptr) const;
  // For `channels` channels.
  PixelRule pixel_rule(int64_t channels) const;

  // What is done to images of this shape that are stored as planes, if it is no more than a CropRule
  // says, in TRAIN.
  std::optional<CropRule> crop_rule(const Shape& image) const;

  // Whether the image at a position of the stream is mirrored.
  bool mirrors(uint64_t seed, int64_t position) const;

  // 8-bit pixels (C,H,W) that show a net's input of this shape. The inverse of apply(), rounded, with
  // mean values, with a mean image as large as the window, and for centre windows; where another
  // window lay is not known here, so that it gets the centre's mean back.
  std::vector<uint8_t> denormalise(const float* input, const Shape& shape, bool mirrored) const;

  // How images of this shape become the net's input in TEST, to be stored with the weights.
  Preprocessing preprocessing(const Shape& image) const;

 private:
  struct Placement;

  bool scales() const { return resize_min_ > 0 || area_min_ > 0 || exact_size_ > 0; }
  Shape scaled_shape(const Shape& image) const;
  bool mean_is_of_image(const Shape& image) const;
  template <class Write>
  void deliver(Image& image, uint64_t seed, int64_t position, StageSeconds* seconds,
               const Write& write) const;
  template <class RowAt>
  void write(const Placement& place, const Rect& inside, const RowAt& row_at, float* out) const;
  float mean_at(int64_t channel, int64_t pixel) const;

  Phase phase_ = TEST;
  Decoding decoding_;
  int64_t crop_size_ = 0;                    // pixels; 0: the image's own size
  int64_t pad_ = 0;                          // pixels; 0 in TEST
  int64_t resize_min_ = 0, resize_max_ = 0;  // pixels of the shorter side; 0: not scaled
  int64_t exact_size_ = 0;                   // pixels of both sides; 0: not scaled so
  float area_min_ = 0, area_max_ = 1;        // share of the image's area; min 0: off
  float aspect_ = 1;                         // largest width / height, and the other way round
  bool mirror_ = false;                      // false in TEST
  float scale_ = 1;
  ColourShift colour_shift_;  // off in TEST
  Shape mean_shape_;          // of a mean image (C,H,W); rank 0 without one
  std::vector<float> mean_;   // the mean image, or no value, one, or one per channel
};

}  // namespace resnet
