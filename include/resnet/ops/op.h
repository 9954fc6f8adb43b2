// The operations that layers are made of: one attribute struct each, and the order of their inputs
// and outputs in every pass. Shapes are logical (N,C,H,W) whatever the memory layout.
// Vocabulary: src, dst, weights, diff_* (gradient of the loss with respect to *), saved and mask
// (written by forward, read by backward).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "resnet/tensor/tensor.h"

namespace resnet {

using Pair = std::array<int64_t, 2>;  // {height, width}

// Which computation of an op a node performs.
enum class Pass : uint8_t {
  forward,
  backward,          // all diff_src (and, where listed, diff of parameters)
  backward_data,     // convolution, inner product: diff_src
  backward_weights,  // convolution, inner product: diff_weights, diff_bias
  recompute          // rebuilds the forward dst from saved values (memory budget)
};
const char* name_of(Pass p);

// dst[n,o,y,x] = sum_{c,i,j} weights[o,c,i,j] * src[n, c, y*stride + i*dilation - pad, ..] (+ bias)
// dst extent = (in + 2 pad - (dilation (k-1) + 1)) / stride + 1, rounded down.
// forward:          in src, weights (O, C/groups, kh, kw) [, bias (O)] [, addend like dst]; out dst
//                   sum: dst = conv + bias + addend; then relu
// backward_data:    in diff_dst, weights; out diff_src        (bias, sum, relu must be false)
// backward_weights: in src, diff_dst; out diff_weights [, diff_bias]
struct Convolution {
  int64_t num_output = 0;
  Pair kernel{1, 1}, stride{1, 1}, pad{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  bool bias = false, sum = false, relu = false;
  friend bool operator==(const Convolution&, const Convolution&) = default;
};

// src is taken as a matrix: rows = dims before axis, K = product of the others. dst (dims before axis, O).
// forward:          in src, weights (O,K), or (K,O) if transpose [, bias (O)]; out dst
// backward_data:    in diff_dst, weights; out diff_src
// backward_weights: in src, diff_dst; out diff_weights [, diff_bias]
struct InnerProduct {
  int64_t num_output = 0;
  int axis = 1;
  bool transpose = false, bias = false;
  friend bool operator==(const InnerProduct&, const InnerProduct&) = default;
};

// Batch normalisation over (N,H,W) for each channel (axis 1; src of rank >= 2), Ioffe & Szegedy 2015.
// dst = gamma * (src - mean) / sqrt(var + eps) + beta; add: dst += addend; relu: dst = max(dst, 0).
// G = N / group_size groups of consecutive images (group_size 0: one group). Batch statistics are per
// group; m = elements per channel and group.
// Batch mode (global = false):
//   forward:   in src [, gamma (C)] [, beta (C)] [, addend]; out dst, saved f32|f64 (G,2,C): mean and
//              1/sqrt(var+eps); stats (2,C): mean over groups of the mean and of var * m/(m-1)
//              (factor 1 when m = 1) [, mask if relu]
//   backward:  in diff_dst, src, saved [, gamma] [, mask]; out diff_src [, diff_gamma] [, diff_beta]
//              [, diff_addend if add && relu]
//   recompute: in src, saved [, gamma] [, beta]; out dst         (add must be false; relu allowed)
// Global mode (fixed statistics; running sums as Caffe stores them: divide by factor, 0 if factor is 0):
//   forward:   in src, mean (C), variance (C), factor (1) [, gamma] [, beta] [, addend]; out dst [, mask]
//   backward:  in diff_dst, src, mean, variance, factor [, gamma] [, mask]; out as in batch mode
// mask: one bit per element of dst's storage (1 where dst > 0), dst's storage order, u8 (bytes);
// element i is bit i % 8 (from the least significant) of byte i / 8.
// without mask in inference: has_mask = false. (If add && !relu, diff_addend is diff_dst itself.)
struct BatchNorm {
  double eps = 1e-5;
  int64_t group_size = 0;
  bool global = false;
  bool gamma = false, beta = false, add = false, relu = false;
  bool has_mask = false;  // relu with a mask output (training)
  friend bool operator==(const BatchNorm&, const BatchNorm&) = default;
};

// Moves running statistics as Caffe does, once per micro-batch, in place:
// factor = fraction * factor + 1; mean = fraction * mean + stats[0]; variance = fraction*variance + stats[1].
// forward: in stats (2,C); out mean (C), variance (C), factor (1)   (outputs are read and written)
struct UpdateStatistics {
  double fraction = 0.999;
  friend bool operator==(const UpdateStatistics&, const UpdateStatistics&) = default;
};

// dst = src * gamma (+ beta), gamma's shape = src dims [axis, axis + num_axes).
// forward: in src, gamma [, beta]; out dst. backward: in diff_dst, src, gamma; out diff_src, diff_gamma
// [, diff_beta]
struct Scale {
  int axis = 1;
  int num_axes = 1;  // gamma's rank
  bool bias = false;
  friend bool operator==(const Scale&, const Scale&) = default;
};

// dst = src > 0 ? src : slope * src, slope >= 0. forward: in src; out dst. backward: in diff_dst, dst;
// out diff_src
struct Relu {
  double slope = 0;
  friend bool operator==(const Relu&, const Relu&) = default;
};

// forward: in n srcs of one shape; out dst. relu (sum only): dst = max(dst, 0).
// backward: (prod, max only) in diff_dst, n srcs; out n diff_srcs. The gradient of sum is a sum with one
// input; max passes the gradient to the winner as Caffe does.
struct Eltwise {
  enum class Kind : uint8_t { sum, prod, max };
  Kind kind = Kind::sum;
  std::vector<double> coeff;  // sum: one per input, or empty = all 1
  bool relu = false;
  friend bool operator==(const Eltwise&, const Eltwise&) = default;
};

// Caffe's pooling. Output extent: ceil or floor of (in + 2 pad - kernel) / stride, plus 1; with ceil a last
// window that would start at or beyond in + pad is dropped (only when a pad is non-zero). Average divides by
// the window clipped to in + pad (padding counts); max takes the first maximum.
// forward: in src; out dst [, index if has_index: position i*kw + j inside the window, like dst, u8 when
// kh*kw <= 255 else i32]. backward: in diff_dst [, index]; out diff_src
struct Pooling {
  enum class Kind : uint8_t { max, average };
  Kind kind = Kind::max;
  Pair kernel{1, 1}, stride{1, 1}, pad{0, 0};
  bool ceil = true;
  bool has_index = false;  // max in training
  friend bool operator==(const Pooling&, const Pooling&) = default;
};

// exp(src - max) / sum along axis. forward: in src; out dst. backward: in diff_dst, dst; out diff_src
struct Softmax {
  int axis = 1;
  friend bool operator==(const Softmax&, const Softmax&) = default;
};

// Multinomial logistic loss of softmax(src) along axis; label holds integers in src's type, shape = src's
// without axis (dims of 1 are free: (N,1,..)). log p = src - max - log(sum), not clamped. out[0] = loss, out[1] =
// weight of this value in an average over batches (valid: labels that are not ignored; full: all labels; batch
// and none: N).
// Normaliser: valid = labels that are not ignored; full = all labels; batch = N; none = 1; each times
// `normalizer_scale` (shards of a batch), at least 1. With valid and an ignore label the count is an input.
// Label smoothing s: target = (1 - s) on the label + s / K everywhere. A label outside [0, K) that is not
// ignored: the loss becomes NaN and the step's caller reports it (labels are checked when read).
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

// forward: in src, label; out (2): fraction whose label is among the top_k largest scores (ties count against
// the label, as in Caffe; so does NaN; 0 when nothing is counted), number of labels counted.
struct Accuracy {
  int axis = 1;
  int64_t top_k = 1;
  bool has_ignore = false;
  int64_t ignore_label = 0;
  friend bool operator==(const Accuracy&, const Accuracy&) = default;
};

// Training: dst = src * keep / (1 - ratio), keep = uniform() >= ratio drawn by
// Random(seed, position + n, Use::dropout, layer_id) for image n, one draw per element in logical order. clock = f64 (2): {seed, position of the batch's
// first record} (exact up to 2^53). forward: in src, clock; out dst, mask (bits as BatchNorm's mask).
// backward: in diff_dst, mask; out diff_src
struct Dropout {
  double ratio = 0.5;
  uint32_t layer_id = 0;
  friend bool operator==(const Dropout&, const Dropout&) = default;
};

// forward: in n srcs; out dst, concatenated along axis.
struct Concat {
  int axis = 1;
  friend bool operator==(const Concat&, const Concat&) = default;
};

// forward: in src; out dst = src[.., begin : begin + size, ..] along axis.
struct Slice {
  int axis = 1;
  int64_t begin = 0, size = 0;
  friend bool operator==(const Slice&, const Slice&) = default;
};

// forward: in src; out dst with another shape, the same elements in logical order.
struct Reshape {
  Shape shape;
  friend bool operator==(const Reshape&, const Reshape&) = default;
};

// The paper's option A: dst[n,c,y,x] = src[n,c,y*stride,x*stride] for c < C, 0 for appended channels.
// dst (N, num_output, ceil(H/stride), ceil(W/stride)). forward: in src; out dst. backward: in diff_dst; out
// diff_src
struct IdentityShortcut {
  int64_t stride = 1;
  int64_t num_output = 0;
  friend bool operator==(const IdentityShortcut&, const IdentityShortcut&) = default;
};

// Same values, another layout (activations and weights). forward: in src; out dst.
struct Reorder {
  friend bool operator==(const Reorder&, const Reorder&) = default;
};

// Folds inference BatchNorm into the convolution before it. All tensors plain (nchw).
// forward: in weights (O,..) [, bias (O) if bias], mean, variance, factor [, gamma] [, beta];
// out weights', bias' (O)
struct FoldBatchNorm {
  double eps = 1e-5;
  bool bias = false, gamma = false, beta = false;
  friend bool operator==(const FoldBatchNorm&, const FoldBatchNorm&) = default;
};

// dst = value everywhere (DummyData). forward: no input; out dst. `shape` is what infer() gives (f32).
struct Fill {
  double value = 0;
  Shape shape;
  friend bool operator==(const Fill&, const Fill&) = default;
};

// One SGD step on one weight tensor, Caffe's rules (elementwise, any layout, padding included).
// hyper = f64 (4): {rate = lr*lr_mult, decay = weight_decay*decay_mult, momentum, gradient scale}
//   g = scale * grad + decay * w (L2) or + decay * sign(w) (L1)
//   sgd: h = momentum * h + rate * g; w -= h
//   nesterov: h' = momentum * h + rate * g; w -= (1 + momentum) * h' - momentum * h; h = h'
// forward: in grad, hyper; out weights, history   (outputs are read and written)
struct SgdUpdate {
  bool nesterov = false;
  bool l1 = false;
  friend bool operator==(const SgdUpdate&, const SgdUpdate&) = default;
};

using Op = std::variant<Convolution, InnerProduct, BatchNorm, UpdateStatistics, Scale, Relu, Eltwise, Pooling,
                        Softmax, SoftmaxLoss, CountLabels, Accuracy, Dropout, Concat, Slice, Reshape,
                        IdentityShortcut, Reorder, FoldBatchNorm, Fill, SgdUpdate>;

const char* name_of(const Op& op);  // "Convolution"
// One line of attributes for logs and `resnet plan`: "k3x3 s1x1 p1x1 o16".
std::string describe(const Op& op);

// Shapes and types of the outputs of the forward pass from those of the inputs (layouts ignored, outputs
// get Layout::any). Throws ConfigError with the fact and shapes but without the layer's name (the caller
// prefixes it). `mask` outputs get shape (ceil(count/8)) u8 here; a backend's resolve() may enlarge it for
// padded storage.
std::vector<TensorDesc> infer(const Op& op, const std::vector<TensorDesc>& in);

// Where an operand of a pass comes from: input or output `index` of the op's forward pass, or the gradient of the
// loss with respect to it.
struct Operand {
  enum class Kind : uint8_t { input, output, diff_input, diff_output };
  Kind kind = Kind::input;
  int index = 0;
  friend bool operator==(const Operand&, const Operand&) = default;
};

// Inputs and outputs of a pass in order: the lists above, in a form that programs can read.
struct Signature {
  std::vector<Operand> in, out;
};

// Operands of `pass` when the forward pass has forward_inputs inputs; nullopt when the op has no such pass.
// (Eltwise sum, Concat, Slice, Reshape and Reorder have no backward: their gradients are other ops.)
std::optional<Signature> signature(const Op& op, Pass pass, int forward_inputs);

// Multiply-adds of one forward pass (convolution, inner product; 0 for others), the paper's count.
int64_t multiply_adds(const Op& op, const std::vector<TensorDesc>& in);

// A fully described computation: what a backend compiles. accumulate[i]: output i is added to what is
// there instead of overwritten.
struct OpDesc {
  Op op;
  Pass pass = Pass::forward;
  std::vector<TensorDesc> in, out;
  std::vector<bool> accumulate;  // empty = all false

  bool accumulates(size_t i) const { return i < accumulate.size() && accumulate[i]; }
  std::string str() const;
  friend bool operator==(const OpDesc&, const OpDesc&) = default;
};

// Description of any pass from the inputs of the forward pass: shapes and types of all operands (outputs get
// Layout::any, inputs keep theirs). backward_data clears `bias`, so that equal kernels are shared. Throws
// ConfigError as infer() does, InternalError when the op has no such pass.
OpDesc describe_pass(const Op& op, Pass pass, const std::vector<TensorDesc>& forward_in);

}  // namespace resnet
