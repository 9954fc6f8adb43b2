// Ops that only move values. Vocabulary and conventions: op.h.
#pragma once

#include <cstdint>
#include <optional>

#include "resnet/tensor/tensor.h"

namespace resnet {

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

// The paper's option A: dst[n,c,y,x] = src[n,c,y*stride,x*stride] for c < C, 0 for further channels.
// dst (N, num_output, ceil(H/stride), ceil(W/stride)).
// forward: in src; out dst. backward: in diff_dst; out diff_src
struct IdentityShortcut {
  int64_t stride = 1;
  int64_t num_output = 0;
  friend bool operator==(const IdentityShortcut&, const IdentityShortcut&) = default;
};

// Same values in another layout or type (activations and weights). forward: in src; out dst.
struct Reorder {
  std::optional<DType> type = {};  // of dst; none: that of src
  friend bool operator==(const Reorder&, const Reorder&) = default;
};

// dst = value everywhere (DummyData). forward: no input; out dst. `shape` is what infer() gives
// (f32).
struct Fill {
  double value = 0;
  Shape shape;
  friend bool operator==(const Fill&, const Fill&) = default;
};

}  // namespace resnet
