// From a record's pixels to the floats that a net is fed (Caffe's transform_param).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/image.h"
#include "resnet/data/source.h"

namespace resnet {

// Values subtracted from an image, row-major (C,H,W).
struct MeanImage {
  Shape shape;
  std::vector<float> values;
};

// Reads and writes a mean file (BlobProto, as Caffe's compute_image_mean writes it: 1,C,H,W in the
// legacy fields). Throws DataError.
MeanImage read_mean(const std::string& path);
void write_mean(const MeanImage& mean, const std::string& path);

// The per-pixel mean over all records, which must have one size. Summed in double in key order of fixed
// chunks: the same for any number of threads.
MeanImage compute_mean(const DataSource& source);

// Immutable; apply() may be called from any thread.
//
// out = (pixel - mean) * scale over a window of crop_size pixels. TRAIN: the window lies anywhere in the
// image with `pad` pixels of zeros around it (zeros of the net's input: padding comes after the mean, as
// in section 4.2 of the paper), and is mirrored half of the time with `mirror`. TEST: the centre window
// at ((H - crop) / 2, (W - crop) / 2), no padding, never mirrored. Without crop_size the window has
// the image's own size. The mean image is subtracted at the source pixel.
class Transformer {
 public:
  // Relative paths as in open_source. Throws ConfigError (mean_file together with mean_value,
  // force_color with force_gray) and DataError (mean file).
  Transformer(const TransformationParameter& param, Phase phase, const std::string& base_dir);
  // What travels with the weights, for TEST.
  explicit Transformer(const Preprocessing& preprocessing);

  // (C,H,W) of apply's output for a decoded record of this shape. Throws ConfigError when the crop or
  // the mean does not fit.
  Shape output_shape(const Shape& record) const;

  // Decodes if needed and writes output_shape floats. In TRAIN the draws are Random(seed, position,
  // Use::crop) for row and column, Use::flip for the mirror. `source` is named in errors (DataError).
  void apply(Record record, uint64_t seed, int64_t position, const std::string& source,
             float* out) const;

  // The record with its image decoded to the channels that the net wants.
  void decode_record(Record& record, const std::string& source) const;

  // Back from a net's input of this shape to displayable 8-bit pixels. Exact for mean values and for
  // centre windows of a mean image; other windows of a mean image use its channel means.
  std::vector<uint8_t> denormalise(const float* input, const Shape& shape) const;

  // The crop, mean and scale as they are stored beside the weights.
  Preprocessing preprocessing() const;
  Phase phase() const { return phase_; }
  void force(Colour colour) { colour_ = colour; }

 private:
  float mean_at(int64_t channel, int64_t offset) const;
  void check_mean(const Shape& record) const;

  Phase phase_ = TEST;
  Colour colour_ = Colour::as_stored;
  int64_t crop_size_ = 0;  // 0: the image's own size
  int64_t pad_ = 0;
  bool mirror_ = false;
  float scale_ = 1;
  MeanImage mean_;                  // empty without mean_file
  std::vector<float> mean_values_;  // none, one, or one per channel
};

}  // namespace resnet
