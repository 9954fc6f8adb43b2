// Ops on class scores and labels. Vocabulary and conventions: op.h.
#pragma once

#include <cstdint>

namespace resnet {

// exp(src - max) / sum along axis. forward: in src; out dst. backward: in diff_dst, dst; out
// diff_src
struct Softmax {
  int axis = 1;
  friend bool operator==(const Softmax&, const Softmax&) = default;
};

// Multinomial logistic loss of softmax(src) along axis; label holds integers in src's type, shape =
// src's without axis (dims of 1 are free: (N,1,..)). log p = src - max - log(sum), not clamped.
// out[0] = loss, out[1] = weight of this value in an average over batches (valid: labels that are
// not ignored; full: all labels; batch and none: N).
// Normaliser: valid = labels that are not ignored; full = all labels; batch = N; none = 1; each
// times `normalizer_scale` (shards of a batch), at least 1. With valid and an ignore label the
// count is an input.
// Label smoothing s: target = (1 - s) on the label + s / K everywhere. A label outside [0, K) that
// is not ignored: the loss becomes NaN and the step's caller reports it (labels are checked when
// read).
// forward: in src, label [, count (1)]; out loss (2), prob like src.
// backward: in prob, label [, count (1)]; out diff_src  (scaled by loss_weight)
struct SoftmaxLoss {
  enum class Normalization : uint8_t { valid, full, batch, none };
  int axis = 1;
  Normalization normalization = Normalization::valid;
  bool has_ignore = false;
  int64_t ignore_label = 0;
  double label_smoothing = 0;
  double loss_weight = 1;
  double normalizer_scale = 1;
  bool count_input = false;
  friend bool operator==(const SoftmaxLoss&, const SoftmaxLoss&) = default;
};

// Number of labels that are not ignored. forward: in label; out count (1)
struct CountLabels {
  int64_t ignore_label = 0;
  friend bool operator==(const CountLabels&, const CountLabels&) = default;
};

// forward: in src, label; out (2): fraction whose label is among the top_k largest scores (ties
// count against the label, as in Caffe; so does NaN; 0 when nothing is counted), number of labels
// counted.
struct Accuracy {
  int axis = 1;
  int64_t top_k = 1;
  bool has_ignore = false;
  int64_t ignore_label = 0;
  friend bool operator==(const Accuracy&, const Accuracy&) = default;
};

}  // namespace resnet
