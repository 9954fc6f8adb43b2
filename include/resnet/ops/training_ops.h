// Ops of the training loop itself: what happens once per batch or update, on the device, so that no
// iteration needs the host. Vocabulary and conventions: op.h; the arithmetic: training_rules.h.
#pragma once

#include <cstdint>

#include "resnet/tensor/tensor.h"

namespace resnet {

// One SGD step on one weight tensor, Caffe's rules (elementwise, any layout, padding included).
// hyper = f64 (4): {rate, decay, momentum, gradient scale}; with a scale that is not finite nothing
// is changed.
//   g = scale * grad + d * w (L2) or + d * sign(w) (L1), d = decay * decay_mult
//   sgd: h = momentum * h + r * g; w -= h, r = rate * rate_mult
//   nesterov: h' = momentum * h + r * g; w -= (1 + momentum) * h' - momentum * h; h = h'
// forward: in grad, hyper; out weights, history [, copy of the weights in copy_type, if that is not
// f32]   (weights and history are read and written)
struct SgdUpdate {
  bool nesterov = false;
  bool l1 = false;
  double rate_mult = 1, decay_mult = 1;
  DType copy_type = DType::f32;
  friend bool operator==(const SgdUpdate&, const SgdUpdate&) = default;
};

// Multiplies by a number that the device holds. forward: in src, factor f64 (1); out dst
struct ScaleBy {
  friend bool operator==(const ScaleBy&, const ScaleBy&) = default;
};

// Sum of the squares of all elements. forward: in src; out f64 (1)
struct SquaredNorm {
  friend bool operator==(const SquaredNorm&, const SquaredNorm&) = default;
};

// Notes the metrics of a batch and goes on to the next: row number `row` of the ring, modulo R,
// becomes `metrics`. The state (f64 (8), training_rules.h) gets row + 1, position + images, and, at the
// first metrics that are not all finite, the number of that row.
// forward: in metrics (M); out state, ring (R,M)   (outputs are read and written)
struct RecordBatch {
  int64_t images = 0;
  int64_t rows = 1;  // R
  friend bool operator==(const RecordBatch&, const RecordBatch&) = default;
};

// The settings of the next update, from row number `step`, modulo S, of a schedule f64 (S,4) of
// {rate, decay, momentum, clip}: hyper of SgdUpdate, with the gradient scale
//   1 / (iter_size * loss scale), times clip / norm where clip >= 0 and the norm is larger.
// No update follows a batch whose metrics were not finite. With loss_scaling, an update whose gradients
// are not finite is left out and the loss scale halved; after 2000 updates without one it is doubled.
// forward: in schedule [, squared norm of the gradients f64 (1) if has_norm]; out state f64 (8), hyper
// f64 (4)   (the state is read and written)
struct PrepareUpdate {
  int64_t iter_size = 1;
  bool has_norm = false;
  bool loss_scaling = false;  // needs the norm
  friend bool operator==(const PrepareUpdate&, const PrepareUpdate&) = default;
};

// Draws the next batch from a data set that the device holds, as a data layer of the phase TRAIN does
// with crop_size, pad, mirror, mean and scale (data/transform.h): image n is that at position
// `position` + n of the stream, where epoch e takes row e % 2 of `order`.
// forward: in images u8 (R,C,H,W), labels f32 (R), order i32 (2,R), mean f32 (C) or (C,H,W) or, if
// mean_of_window, (C,height,width), state f64 (8); out data (batch,C,height,width) of `type`, label f32
// (batch)
struct DrawBatch {
  int64_t batch = 1;
  int64_t height = 0, width = 0;  // of the window
  int64_t pad = 0;                // zeros around the image, after the mean
  bool mirror = false;            // half of the time
  bool mean_of_window = false;
  float scale = 1;
  DType type = DType::f32;  // of data: rounded at the end
  friend bool operator==(const DrawBatch&, const DrawBatch&) = default;
};

// The last step of data layers for 8-bit pixels that the host has cut out (tensor/normalise.h):
//   (level - (mean - colour shift)) * scale, mirrored where the image is; 0 in the padding
// forward: in levels u8 (N,C,H,W), placements f32 (N,10), mean f32 (C) or an image (C,H',W');
// out data (N,C,H,W) of `type`
struct NormaliseImages {
  float scale = 1;
  DType type = DType::f32;  // of data: rounded at the end
  friend bool operator==(const NormaliseImages&, const NormaliseImages&) = default;
};

}  // namespace resnet
