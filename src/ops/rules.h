// What each op's file defines; op.cpp dispatches to it. Internal to src/ops.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "resnet/base/error.h"
#include "resnet/ops/op.h"

namespace resnet::rules {

using Descs = std::vector<TensorDesc>;

// Throws ConfigError unless `in` holds `expected` tensors.
void check_inputs(const char* op, const Descs& in, size_t expected);
// Throws ConfigError "<op>: <what> has shape (..), expected (..)" on a mismatch.
void check_shape(const char* op, const char* what, const Shape& actual, const Shape& expected);
// Throws ConfigError "<op>: <fact>" unless ok.
void require(bool ok, const char* op, const std::string& fact);

// A tensor of src's type, layout any.
TensorDesc like(const TensorDesc& src, const Shape& shape);
// The type of statistics and losses of tensors of type t: f64 for f64, else f32.
DType accumulator(DType t);
// The bits that say which elements of dst are positive (or kept).
TensorDesc mask_of(const TensorDesc& dst);

std::string pair_text(char name, const Pair& p);  // "k3x3"

// Operand constructors, in the vocabulary of op.h.
inline Operand input(int i) { return {Operand::Kind::input, i}; }
inline Operand output(int i) { return {Operand::Kind::output, i}; }
inline Operand diff_input(int i) { return {Operand::Kind::diff_input, i}; }
inline Operand diff_output(int i) { return {Operand::Kind::diff_output, i}; }
// The forward pass of an op with n inputs and m outputs.
Signature forward_signature(int n, int m);
// Of an op that has only a forward pass.
std::optional<Signature> forward_only(Pass pass, int n, int m);

Descs infer(const Convolution& op, const Descs& in);
Descs infer(const InnerProduct& op, const Descs& in);
Descs infer(const BatchNorm& op, const Descs& in);
Descs infer(const UpdateStatistics& op, const Descs& in);
Descs infer(const Scale& op, const Descs& in);
Descs infer(const Relu& op, const Descs& in);
Descs infer(const Eltwise& op, const Descs& in);
Descs infer(const Pooling& op, const Descs& in);
Descs infer(const Softmax& op, const Descs& in);
Descs infer(const SoftmaxLoss& op, const Descs& in);
Descs infer(const CountLabels& op, const Descs& in);
Descs infer(const Accuracy& op, const Descs& in);
Descs infer(const Dropout& op, const Descs& in);
Descs infer(const Concat& op, const Descs& in);
Descs infer(const Slice& op, const Descs& in);
Descs infer(const Reshape& op, const Descs& in);
Descs infer(const IdentityShortcut& op, const Descs& in);
Descs infer(const Reorder& op, const Descs& in);
Descs infer(const FoldBatchNorm& op, const Descs& in);
Descs infer(const Fill& op, const Descs& in);
Descs infer(const SgdUpdate& op, const Descs& in);
Descs infer(const ScaleBy& op, const Descs& in);
Descs infer(const SquaredNorm& op, const Descs& in);
Descs infer(const RecordBatch& op, const Descs& in);
Descs infer(const PrepareUpdate& op, const Descs& in);
Descs infer(const DrawBatch& op, const Descs& in);
Descs infer(const NormaliseImages& op, const Descs& in);

std::string describe(const Convolution& op);
std::string describe(const InnerProduct& op);
std::string describe(const BatchNorm& op);
std::string describe(const UpdateStatistics& op);
std::string describe(const Scale& op);
std::string describe(const Relu& op);
std::string describe(const Eltwise& op);
std::string describe(const Pooling& op);
std::string describe(const Softmax& op);
std::string describe(const SoftmaxLoss& op);
std::string describe(const CountLabels& op);
std::string describe(const Accuracy& op);
std::string describe(const Dropout& op);
std::string describe(const Concat& op);
std::string describe(const Slice& op);
std::string describe(const Reshape& op);
std::string describe(const IdentityShortcut& op);
std::string describe(const Reorder& op);
std::string describe(const FoldBatchNorm& op);
std::string describe(const Fill& op);
std::string describe(const SgdUpdate& op);
std::string describe(const ScaleBy& op);
std::string describe(const SquaredNorm& op);
std::string describe(const RecordBatch& op);
std::string describe(const PrepareUpdate& op);
std::string describe(const DrawBatch& op);
std::string describe(const NormaliseImages& op);

// Operands of a pass; nullopt when the op has no such pass. n = number of forward inputs.
std::optional<Signature> signature(const Convolution& op, Pass pass, int n);
std::optional<Signature> signature(const InnerProduct& op, Pass pass, int n);
std::optional<Signature> signature(const BatchNorm& op, Pass pass, int n);
std::optional<Signature> signature(const UpdateStatistics& op, Pass pass, int n);
std::optional<Signature> signature(const Scale& op, Pass pass, int n);
std::optional<Signature> signature(const Relu& op, Pass pass, int n);
std::optional<Signature> signature(const Eltwise& op, Pass pass, int n);
std::optional<Signature> signature(const Pooling& op, Pass pass, int n);
std::optional<Signature> signature(const Softmax& op, Pass pass, int n);
std::optional<Signature> signature(const SoftmaxLoss& op, Pass pass, int n);
std::optional<Signature> signature(const CountLabels& op, Pass pass, int n);
std::optional<Signature> signature(const Accuracy& op, Pass pass, int n);
std::optional<Signature> signature(const Dropout& op, Pass pass, int n);
std::optional<Signature> signature(const Concat& op, Pass pass, int n);
std::optional<Signature> signature(const Slice& op, Pass pass, int n);
std::optional<Signature> signature(const Reshape& op, Pass pass, int n);
std::optional<Signature> signature(const IdentityShortcut& op, Pass pass, int n);
std::optional<Signature> signature(const Reorder& op, Pass pass, int n);
std::optional<Signature> signature(const FoldBatchNorm& op, Pass pass, int n);
std::optional<Signature> signature(const Fill& op, Pass pass, int n);
std::optional<Signature> signature(const SgdUpdate& op, Pass pass, int n);
std::optional<Signature> signature(const ScaleBy& op, Pass pass, int n);
std::optional<Signature> signature(const SquaredNorm& op, Pass pass, int n);
std::optional<Signature> signature(const RecordBatch& op, Pass pass, int n);
std::optional<Signature> signature(const PrepareUpdate& op, Pass pass, int n);
std::optional<Signature> signature(const DrawBatch& op, Pass pass, int n);
std::optional<Signature> signature(const NormaliseImages& op, Pass pass, int n);

}  // namespace resnet::rules
