// From a record's pixels to the floats that a net is fed (Caffe's transform_param).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/image.h"
#include "resnet/data/source.h"

namespace resnet {

// Immutable; all functions may be called from any thread.
//
// out = (pixel - mean) * scale over a window of crop_size pixels. TRAIN: the window lies anywhere
// in the image with `pad` pixels of zeros around it (zeros of the net's input: the padding comes
// after the mean, as in section 4.2 of the paper), and is mirrored half of the time with `mirror`.
// TEST: the window in the centre, at ((H - crop) / 2, (W - crop) / 2), no padding, never mirrored.
// Without crop_size the window has the image's own size. A mean image is subtracted at the source
// pixel.
class Transformer {
 public:
  // A layer's transform_param; relative paths as in open_source(). Throws ConfigError (mean_file
  // together with mean_value, force_color with force_gray) and DataError (unreadable mean file).
  Transformer(const TransformationParameter& param, Phase phase, const std::string& base_dir);
  // What travels with the weights, for TEST. Throws DataError on a mean without a proper shape.
  // Scaling images to the right size is resize()'s job (image.h).
  explicit Transformer(const Preprocessing& preprocessing);

  Phase phase() const { return phase_; }
  Colour colour() const { return colour_; }  // what encoded images are decoded to

  // Shape of the output for a decoded record of shape (C,H,W). Throws ConfigError when the crop or
  // the mean does not fit. Shapes that are no images pass where nothing is to be cropped.
  Shape output_shape(const Shape& record) const;

  // Writes output_shape() floats for a decoded record. In TRAIN the draws are
  // Random(seed, position, Use::crop) for row and column and Random(seed, position, Use::flip).
  void apply(const Record& record, uint64_t seed, int64_t position, float* out) const;

  // 8-bit pixels (C,H,W) that show a net's input of this shape. The inverse of apply(), rounded,
  // with mean values and for centre windows of a mean image; where a window lay is not known here,
  // so that a random one of a mean image gets the centre's mean back.
  std::vector<uint8_t> denormalise(const float* input, const Shape& shape) const;

  // How records of this decoded shape become the net's input in TEST, to be stored with the
  // weights.
  Preprocessing preprocessing(const Shape& record) const;

 private:
  float mean_at(int64_t channel, int64_t pixel) const;

  Phase phase_ = TEST;
  Colour colour_ = Colour::as_stored;
  int64_t crop_size_ = 0;  // pixels; 0: the image's own size
  int64_t pad_ = 0;        // pixels; 0 in TEST
  bool mirror_ = false;    // false in TEST
  float scale_ = 1;
  Shape mean_shape_;         // of a mean image (C,H,W); rank 0 without one
  std::vector<float> mean_;  // the mean image, or no value, one, or one per channel
};

}  // namespace resnet
