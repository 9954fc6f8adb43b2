// The operations that layers are made of: one attribute struct each in the four headers below,
// with the order of their inputs and outputs in every pass. Shapes are logical (N,C,H,W) whatever
// the memory layout. Vocabulary: src, dst, weights, diff_* (gradient of the loss with respect to
// *), saved and mask (written by forward, read by backward).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "resnet/ops/compute_ops.h"
#include "resnet/ops/loss_ops.h"
#include "resnet/ops/movement_ops.h"
#include "resnet/ops/training_ops.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

// Which computation of an op a node performs.
enum class Pass : uint8_t {
  forward,
  backward,          // all diff_src (and, where listed, diff of parameters)
  backward_data,     // convolution, inner product: diff_src
  backward_weights,  // convolution, inner product: diff_weights, diff_bias
  recompute          // rebuilds the forward dst from saved values (memory budget)
};
const char* name_of(Pass p);

using Op =
    std::variant<Convolution, InnerProduct, BatchNorm, UpdateStatistics, Scale, Relu, Eltwise,
                 Pooling, Softmax, SoftmaxLoss, CountLabels, Accuracy, Dropout, Concat, Slice,
                 Reshape, IdentityShortcut, Reorder, FoldBatchNorm, Fill, SgdUpdate, ScaleBy,
                 SquaredNorm, RecordBatch, PrepareUpdate, DrawBatch, NormaliseImages>;

const char* name_of(const Op& op);  // "Convolution"
// One line of attributes for logs and `resnet plan`: "k3x3 s1x1 p1x1 o16".
std::string describe(const Op& op);

// Shapes and types of the outputs of the forward pass from those of the inputs (layouts ignored,
// outputs get Layout::any). Throws ConfigError with the fact and shapes but without the layer's
// name (the caller prefixes it). `mask` outputs get shape (ceil(count/8)) u8 here; a backend's
// resolve() may enlarge it for padded storage.
std::vector<TensorDesc> infer(const Op& op, const std::vector<TensorDesc>& in);

// Where an operand of a pass comes from: input or output `index` of the op's forward pass, or the
// gradient of the loss with respect to it.
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

// Operands of `pass` when the forward pass has forward_inputs inputs; nullopt when the op has no
// such pass.
// (Eltwise sum, Concat, Slice, Reshape and Reorder have no backward: their gradients are other
// ops.)
std::optional<Signature> signature(const Op& op, Pass pass, int forward_inputs);

// Multiply-adds of one forward pass (convolution, inner product; 0 for others), the paper's count.
int64_t multiply_adds(const Op& op, const std::vector<TensorDesc>& in);

// A fully described computation: what a backend compiles. accumulate[i]: output i is added to what
// is there instead of overwritten.
struct OpDesc {
  Op op;
  Pass pass = Pass::forward;
  std::vector<TensorDesc> in, out;
  std::vector<bool> accumulate;  // empty = all false

  bool accumulates(size_t i) const { return i < accumulate.size() && accumulate[i]; }
  std::string str() const;
  friend bool operator==(const OpDesc&, const OpDesc&) = default;
};

// Description of any pass from the inputs of the forward pass: shapes and types of all operands
// (outputs get Layout::any, inputs keep theirs). backward_data clears `bias`, so that equal kernels
// are shared. The gradient of a convolution's 16-bit weights is f32. Throws ConfigError as infer()
// does, InternalError when the op has no such pass.
OpDesc describe_pass(const Op& op, Pass pass, const std::vector<TensorDesc>& forward_in);

}  // namespace resnet
