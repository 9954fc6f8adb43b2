// The arithmetic of training_ops.h, the same on every backend.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "resnet/base/random.h"  // RESNET_HOST_DEVICE
#include "resnet/ops/training_ops.h"
#include "resnet/tensor/normalise.h"

namespace resnet {

// The state of a training run on its device, f64 (8); counts are exact up to 2^53.
namespace train_state {
constexpr int kSeed = 0;       // of the run
constexpr int kPosition = 1;   // in the stream of images: the next batch's first image
constexpr int kRow = 2;        // batches recorded
constexpr int kStep = 3;       // updates prepared
constexpr int kBadRow = 4;     // 0, or 1 + the row of the first metrics that were not finite
constexpr int kLossScale = 5;  // what the loss's gradient is multiplied by
constexpr int kGoodSteps = 6;  // updates since the loss scale changed
constexpr int kSkipped = 7;    // updates left out because gradients were not finite
constexpr int kSize = 8;

constexpr double kFirstLossScale = 65536;
constexpr double kGoodStepsToDouble = 2000;
constexpr double kLargestLossScale = 16777216;
}  // namespace train_state

// One element of SgdUpdate. T: float, or double for gradient checks.
template <class T>
struct SgdRule {
  T rate, decay, momentum, scale;
  bool nesterov, l1;

  RESNET_HOST_DEVICE SgdRule(const SgdUpdate& op, const double* hyper)
      : rate(static_cast<T>(hyper[0] * op.rate_mult)),
        decay(static_cast<T>(hyper[1] * op.decay_mult)),
        momentum(static_cast<T>(hyper[2])),
        scale(static_cast<T>(hyper[3])),
        nesterov(op.nesterov),
        l1(op.l1) {}

  // Whether there is an update at all.
  RESNET_HOST_DEVICE bool applies() const { return scale - scale == 0; }
  RESNET_HOST_DEVICE void apply(T grad, T& weight, T& history) const {
    const T sign = static_cast<T>(weight > 0) - static_cast<T>(weight < 0);
    const T g = scale * grad + decay * (l1 ? sign : weight);
    const T after = momentum * history + rate * g;
    weight -= nesterov ? (1 + momentum) * after - momentum * history : after;
    history = after;
  }
};

template <class T>
RESNET_HOST_DEVICE void record_batch(const RecordBatch& op, const T* metrics, int64_t count,
                                     double* state, T* ring) {
  const double row = state[train_state::kRow];
  T* to = ring + static_cast<int64_t>(row) % op.rows * count;
  bool finite = true;
  for (int64_t i = 0; i < count; ++i) {
    to[i] = metrics[i];
    finite = finite && metrics[i] - metrics[i] == 0;
  }
  state[train_state::kRow] = row + 1;
  state[train_state::kPosition] += static_cast<double>(op.images);
  if (!finite && state[train_state::kBadRow] == 0) state[train_state::kBadRow] = row + 1;
}

// squared_norm: null without.
RESNET_HOST_DEVICE inline void prepare_update(const PrepareUpdate& op, const double* schedule,
                                              int64_t rows, const double* squared_norm,
                                              double* state, double* hyper) {
  using namespace train_state;
  const double* row = schedule + static_cast<int64_t>(state[kStep]) % rows * 4;
  state[kStep] += 1;
  const double loss_scale = op.loss_scaling ? state[kLossScale] : 1;
  double scale = 1 / (static_cast<double>(op.iter_size) * loss_scale);
  bool apply = state[kBadRow] == 0;
  if (squared_norm != nullptr) {
    const double norm = std::sqrt(*squared_norm) / loss_scale;
    const double clip = row[3];
    if (clip >= 0 && norm > clip) scale *= clip / norm;
    if (op.loss_scaling && apply) {
      if (norm - norm == 0) {
        state[kGoodSteps] += 1;
        if (state[kGoodSteps] >= kGoodStepsToDouble && loss_scale < kLargestLossScale) {
          state[kLossScale] *= 2;
          state[kGoodSteps] = 0;
        }
      } else {
        state[kLossScale] = loss_scale > 1 ? loss_scale / 2 : 1;
        state[kGoodSteps] = 0;
        state[kSkipped] += 1;
        apply = false;
      }
    }
  }
  for (int i = 0; i < 3; ++i) hyper[i] = row[i];
  hyper[3] = apply ? scale : NAN;
}

// Where an image is cut out: the same draws as data/transform.cpp makes.
struct DrawnWindow {
  int64_t top, left;
  bool mirrored;

  RESNET_HOST_DEVICE DrawnWindow(const DrawBatch& op, int64_t height, int64_t width, uint64_t seed,
                                 int64_t position) {
    Random crop(seed, static_cast<uint64_t>(position), Use::crop);
    top = draw(crop, height - op.height, op.pad);
    left = draw(crop, width - op.width, op.pad);
    mirrored = op.mirror && Random(seed, static_cast<uint64_t>(position), Use::flip).below(2) == 1;
  }

 private:
  RESNET_HOST_DEVICE static int64_t draw(Random& random, int64_t free, int64_t pad) {
    return static_cast<int64_t>(random.below(static_cast<uint32_t>(free + 2 * pad + 1))) - pad;
  }
};

// A data set as DrawBatch sees it.
struct HeldImages {
  const uint8_t* images;
  const float* labels;
  const int32_t* order;
  const float* mean;
  int64_t records, channels, height, width;
  bool mean_of_pixels;  // one value per pixel, not per channel

  RESNET_HOST_DEVICE int64_t record(int64_t position) const {
    const int64_t epoch = position / records;
    return order[epoch % 2 * records + position % records];
  }

  // Element (c,y,x) of the window.
  RESNET_HOST_DEVICE float element(const DrawBatch& op, const DrawnWindow& window, int64_t record,
                                   int64_t c, int64_t y, int64_t x) const {
    const int64_t column = window.mirrored ? op.width - 1 - x : x;
    const int64_t iy = window.top + y, ix = window.left + column;
    if (iy < 0 || iy >= height || ix < 0 || ix >= width) return 0;
    const float level = images[((record * channels + c) * height + iy) * width + ix];
    int64_t at = c;
    if (op.mean_of_window) {
      at = (c * op.height + y) * op.width + column;
    } else if (mean_of_pixels) {
      at = (c * height + iy) * width + ix;
    }
    return normalised(level, mean[at], op.scale);
  }
};

// The operands of NormaliseImages.
inline PlacedImages placed_images(const NormaliseImages& op, std::span<const Tensor> in) {
  const auto side = [](const Shape& shape, int axis) { return static_cast<int32_t>(shape[axis]); };
  const Shape &levels = in[0].desc.shape, &mean = in[2].desc.shape;
  const bool image = mean.rank() == 3;
  return {.levels = in[0].as<uint8_t>(),
          .placements = in[1].as<float>(),
          .mean = in[2].as<float>(),
          .channels = side(levels, 1),
          .height = side(levels, 2),
          .width = side(levels, 3),
          .mean_height = image ? side(mean, 1) : 0,
          .mean_width = image ? side(mean, 2) : 0,
          .scale = op.scale};
}

}  // namespace resnet
