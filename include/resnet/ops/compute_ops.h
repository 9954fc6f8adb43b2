// Ops that compute: convolution, products, normalisation, activation, pooling, updates of weights.
// Vocabulary and conventions: op.h.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace resnet {

using Pair = std::array<int64_t, 2>;  // {height, width}

// dst[n,o,y,x] = sum_{c,i,j} weights[o,c,i,j] * src[n, c, y*stride + i*dilation - pad, ..] (+ bias)
// dst extent = (in + 2 pad - (dilation (k-1) + 1)) / stride + 1, rounded down.
// forward:          in src, weights (O, C/groups, kh, kw) [, bias (O)] [, addend like dst]; out dst
//                   sum: dst = conv + bias + addend; then relu
//                   fixed_weights: they rarely change, so a backend may want them in a form that takes
//                   time to prepare (inference)
// backward_data:    in diff_dst, weights; out diff_src        (bias, sum, relu must be false)
// backward_weights: in src, diff_dst; out diff_weights [, diff_bias]
struct Convolution {
  int64_t num_output = 0;
  Pair kernel{1, 1}, stride{1, 1}, pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  bool bias = false, sum = false, relu = false, fixed_weights = false;
  friend bool operator==(const Convolution&, const Convolution&) = default;
};

// src is taken as a matrix: rows = dims before axis, K = product of the others. dst: those rows, O.
// forward:          in src, weights (O,K), or (K,O) if transpose [, bias (O)]; out dst
// backward_data:    in diff_dst, weights; out diff_src
// backward_weights: in src, diff_dst; out diff_weights [, diff_bias]
struct InnerProduct {
  int64_t num_output = 0;
  int axis = 1;
  bool transpose = false, bias = false;
  friend bool operator==(const InnerProduct&, const InnerProduct&) = default;
};

// Batch normalisation (Ioffe & Szegedy 2015) of each channel (axis 1) over (N,H,W); rank >= 2.
// dst = gamma * (src - mean) / sqrt(var + eps) + beta; add: dst += addend; relu: dst = max(dst, 0).
// G = N / group_size groups of consecutive images (group_size 0: one group). Batch statistics are
// per group; m = elements per channel and group.
// Batch mode (global = false):
//   forward:   in src [, gamma (C)] [, beta (C)] [, addend]; out dst, saved f32|f64 (G,2,C): mean
//     and 1/sqrt(var+eps); stats (2,C): mean over groups of the mean and of var * m/(m-1) (factor 1
//     when m = 1) [, mask if relu]
//   backward:  in diff_dst, src, saved [, gamma] [, mask];
//     out diff_src [, diff_gamma] [, diff_beta] [, diff_addend if add && relu]
//   recompute: in src, saved [, gamma] [, beta]; out dst         (add must be false; relu allowed)
// Global mode (running sums as Caffe stores them: divided by factor, or 0 if factor is 0):
//   forward:   in src, mean (C), variance (C), factor (1) [, gamma] [, beta] [, addend];
//     out dst [, mask]
//   backward:  in diff_dst, src, mean, variance, factor [, gamma] [, mask]; out as in batch mode
// mask: one bit per element of dst's storage (1 where dst > 0), dst's storage order, u8 (bytes);
// element i is bit i % 8 (from the least significant) of byte i / 8.
// without mask in inference: has_mask = false. (If add && !relu, diff_addend is diff_dst itself.)
// add_stride s >= 1 (with add and relu, rank 4): addend is the source of an IdentityShortcut of that
// stride, (N,Ca,Ha,Wa) with Ca <= C, ceil(Ha/s) = H and ceil(Wa/s) = W: dst[n,c,y,x] gets
// addend[n,c,y*s,x*s], nothing where c >= Ca. diff_addend has addend's shape.
struct BatchNorm {
  double eps = 1e-5;
  int64_t group_size = 0;
  bool global = false;
  bool gamma = false, beta = false, add = false, relu = false;
  bool has_mask = false;  // relu with a mask output (training)
  int64_t add_stride = 0;
  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

// Moves running statistics as Caffe does, once per micro-batch, in place: factor = fraction * factor
// + 1; mean = fraction * mean + stats[0]; variance = fraction * variance + stats[1].
// forward: in stats (2,C); out mean (C), variance (C), factor (1)   (outputs are read and written)
struct UpdateStatistics {
  double fraction = 0.999;
  friend bool operator==(const UpdateStatistics&, const UpdateStatistics&) = default;
};

// dst = src * gamma (+ beta), gamma's shape = src dims [axis, axis + num_axes).
// forward: in src, gamma [, beta]; out dst. backward: in diff_dst, src, gamma; out diff_src,
// diff_gamma [, diff_beta]
struct Scale {
  int axis = 1;
  int num_axes = 1;  // gamma's rank
  bool bias = false;
  friend bool operator==(const Scale&, const Scale&) = default;
};

// dst = src > 0 ? src : slope * src, slope >= 0. forward: in src; out dst. backward: in diff_dst,
// dst; out diff_src
struct Relu {
  double slope = 0;
  friend bool operator==(const Relu&, const Relu&) = default;
};

// forward: in n srcs of one shape; out dst. relu (sum only): dst = max(dst, 0).
// backward: (prod, max only) in diff_dst, n srcs; out n diff_srcs. The gradient of sum is a sum
// with one input; max passes the gradient to the winner as Caffe does.
struct Eltwise {
  enum class Kind : uint8_t { sum, prod, max };
  Kind kind = Kind::sum;
  std::vector<double> coeff = {};  // sum: one per input, or empty = all 1
  bool relu = false;
  friend bool operator==(const Eltwise&, const Eltwise&) = default;
};

// Caffe's pooling. Output extent: ceil or floor of (in + 2 pad - kernel) / stride, plus 1; with
// ceil a last window that would start at or beyond in + pad is dropped (only when a pad is
// non-zero). Average divides by the window clipped to in + pad (padding counts); max takes the
// first maximum, or a NaN if there is one.
// forward: in src; out dst [, index if has_index: position i*kw + j inside the window, like dst, u8
// when kh*kw <= 255 else i32]. backward: in diff_dst [, index]; out diff_src
struct Pooling {
  enum class Kind : uint8_t { max, average };
  Kind kind = Kind::max;
  Pair kernel{1, 1}, stride{1, 1}, pad{0, 0};
  bool ceil = true;
  bool has_index = false;  // max in training
  friend bool operator==(const Pooling&, const Pooling&) = default;
};

// Training: dst = src * keep / (1 - ratio), keep = uniform() >= ratio drawn by Random(seed,
// position + n, Use::dropout, layer_id) for image n, one draw per element in logical order.
// clock = f64 (2): {seed, position of the batch's first record} (exact up to 2^53).
// forward: in src, clock; out dst, mask (bits as BatchNorm's mask).
// backward: in diff_dst, mask; out diff_src
struct Dropout {
  double ratio = 0.5;
  uint32_t layer_id = 0;
  friend bool operator==(const Dropout&, const Dropout&) = default;
};

// Folds inference BatchNorm into the convolution before it. All tensors plain (nchw).
// forward: in weights (O,..) [, bias (O) if bias], mean, variance, factor [, gamma] [, beta];
// out weights', bias' (O)
struct FoldBatchNorm {
  double eps = 1e-5;
  bool bias = false, gamma = false, beta = false;
  friend bool operator==(const FoldBatchNorm&, const FoldBatchNorm&) = default;
};

}  // namespace resnet
