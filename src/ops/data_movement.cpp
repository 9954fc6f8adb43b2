// Ops that only move values: Concat, Slice, Reshape, IdentityShortcut, Reorder, Fill.
#include "ops/rules.h"

namespace resnet::rules {

Descs infer(const Concat& op, const Descs& in) {
  constexpr const char* kName = "Concat";
  require(!in.empty(), kName, "needs at least one input");
  Shape dst = in[0].shape;
  const int axis = dst.canonical_axis(op.axis);
  for (size_t i = 1; i < in.size(); ++i) {
    Shape expected = in[0].shape;
    if (axis < in[i].shape.rank()) expected[axis] = in[i].shape[axis];
    check_shape(kName, "an input", in[i].shape, expected);
    dst[axis] += expected[axis];
  }
  return {like(in[0], dst)};
}

std::string describe(const Concat& op) { return "axis=" + std::to_string(op.axis); }

std::optional<Signature> signature(const Concat&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const Slice& op, const Descs& in) {
  constexpr const char* kName = "Slice";
  check_inputs(kName, in, 1);
  Shape dst = in[0].shape;
  const int axis = dst.canonical_axis(op.axis);
  require(op.begin >= 0 && op.size >= 1 && op.begin + op.size <= dst[axis], kName,
          "range [" + std::to_string(op.begin) + ", " + std::to_string(op.begin + op.size) +
              ") is outside axis " + std::to_string(axis) + " of " + dst.str());
  dst[axis] = op.size;
  return {like(in[0], dst)};
}

std::string describe(const Slice& op) {
  return "axis=" + std::to_string(op.axis) + " [" + std::to_string(op.begin) + "," +
         std::to_string(op.begin + op.size) + ")";
}

std::optional<Signature> signature(const Slice&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const Reshape& op, const Descs& in) {
  check_inputs("Reshape", in, 1);
  require(op.shape.count() == in[0].count(), "Reshape",
          "cannot turn " + in[0].shape.str() + " into " + op.shape.str() + ": the counts differ");
  return {like(in[0], op.shape)};
}

std::string describe(const Reshape& op) { return op.shape.str(); }

std::optional<Signature> signature(const Reshape&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const IdentityShortcut& op, const Descs& in) {
  constexpr const char* kName = "IdentityShortcut";
  check_inputs(kName, in, 1);
  const Shape& src = in[0].shape;
  require(src.rank() == 4, kName, "src must be (N,C,H,W), got " + src.str());
  require(op.stride >= 1, kName, "stride must be positive, got " + std::to_string(op.stride));
  require(op.num_output >= src[1], kName,
          "num_output = " + std::to_string(op.num_output) + " is less than the " +
              std::to_string(src[1]) + " channels of src " + src.str());
  const auto strided = [&](int64_t extent) { return (extent + op.stride - 1) / op.stride; };
  return {like(in[0], Shape{src[0], op.num_output, strided(src[2]), strided(src[3])})};
}

std::string describe(const IdentityShortcut& op) {
  return "s" + std::to_string(op.stride) + " o" + std::to_string(op.num_output);
}

std::optional<Signature> signature(const IdentityShortcut&, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass == Pass::backward) return Signature{{diff_output(0)}, {diff_input(0)}};
  return std::nullopt;
}

Descs infer(const Reorder& op, const Descs& in) {
  check_inputs("Reorder", in, 1);
  return {{in[0].shape, op.type.value_or(in[0].dtype), Layout::any()}};
}

std::string describe(const Reorder& op) {
  return op.type ? std::string("to ") + name_of(*op.type) : "";
}

std::optional<Signature> signature(const Reorder&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const Fill& op, const Descs& in) {
  check_inputs("Fill", in, 0);
  return {{op.shape, DType::f32, Layout::any()}};
}

std::string describe(const Fill& op) { return "value=" + std::to_string(op.value); }

std::optional<Signature> signature(const Fill&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

}  // namespace resnet::rules
