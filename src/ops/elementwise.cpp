// Ops that treat every element (or channel) alike: Scale, Relu, Eltwise, Dropout.
#include "ops/rules.h"

namespace resnet::rules {

Descs infer(const Scale& op, const Descs& in) {
  constexpr const char* kName = "Scale";
  check_inputs(kName, in, 2u + op.bias);
  const Shape& src = in[0].shape;
  const int axis = src.canonical_axis(op.axis);
  require(op.num_axes >= 0 && axis + op.num_axes <= src.rank(), kName,
          "num_axes = " + std::to_string(op.num_axes) + " from axis " + std::to_string(axis) +
              " exceeds the rank of src " + src.str());
  const std::vector<int64_t> dims = src.dims();
  const Shape gamma(std::vector<int64_t>(dims.begin() + axis, dims.begin() + axis + op.num_axes));
  check_shape(kName, "gamma", in[1].shape, gamma);
  if (op.bias) check_shape(kName, "beta", in[2].shape, gamma);
  return {like(in[0], src)};
}

std::string describe(const Scale& op) {
  std::string text = "axis=" + std::to_string(op.axis) + " num_axes=" + std::to_string(op.num_axes);
  if (op.bias) text += " bias";
  return text;
}

std::optional<Signature> signature(const Scale& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass != Pass::backward) return std::nullopt;
  Signature s{{diff_output(0), input(0), input(1)}, {diff_input(0), diff_input(1)}};
  if (op.bias) s.out.push_back(diff_input(2));
  return s;
}

Descs infer(const Relu& op, const Descs& in) {
  check_inputs("Relu", in, 1);
  require(op.slope >= 0, "Relu",
          "negative_slope must not be negative, got " + std::to_string(op.slope));
  return {like(in[0], in[0].shape)};
}

std::string describe(const Relu& op) {
  return op.slope == 0 ? "" : "slope=" + std::to_string(op.slope);
}

std::optional<Signature> signature(const Relu&, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass == Pass::backward) return Signature{{diff_output(0), output(0)}, {diff_input(0)}};
  return std::nullopt;
}

Descs infer(const Eltwise& op, const Descs& in) {
  constexpr const char* kName = "Eltwise";
  require(!in.empty(), kName, "needs at least one input");
  for (const TensorDesc& src : in) check_shape(kName, "an input", src.shape, in[0].shape);
  const bool sum = op.kind == Eltwise::Kind::sum;
  require(op.coeff.empty() || (sum && op.coeff.size() == in.size()), kName,
          "coefficients are for sums, one per input; got " + std::to_string(op.coeff.size()) +
              " for " + std::to_string(in.size()) + " inputs");
  require(!op.relu || sum, kName, "relu is for sums");
  return {like(in[0], in[0].shape)};
}

std::string describe(const Eltwise& op) {
  constexpr const char* kKinds[] = {"sum", "prod", "max"};
  std::string text = kKinds[static_cast<size_t>(op.kind)];
  for (double c : op.coeff) text += " " + std::to_string(c);
  if (op.relu) text += " relu";
  return text;
}

std::optional<Signature> signature(const Eltwise& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass != Pass::backward || op.kind == Eltwise::Kind::sum) return std::nullopt;
  Signature s{{diff_output(0)}, {}};
  for (int i = 0; i < n; ++i) {
    s.in.push_back(input(i));
    s.out.push_back(diff_input(i));
  }
  return s;
}

Descs infer(const Dropout& op, const Descs& in) {
  constexpr const char* kName = "Dropout";
  check_inputs(kName, in, 2);
  require(op.ratio >= 0 && op.ratio < 1, kName,
          "dropout_ratio must be in [0, 1), got " + std::to_string(op.ratio));
  require(in[0].shape.rank() >= 1, kName, "src must have a dimension of images");
  check_shape(kName, "clock", in[1].shape, Shape{2});
  const TensorDesc dst = like(in[0], in[0].shape);
  return {dst, mask_of(dst)};
}

std::string describe(const Dropout& op) { return "ratio=" + std::to_string(op.ratio); }

std::optional<Signature> signature(const Dropout&, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 2);
  if (pass == Pass::backward) return Signature{{diff_output(0), output(1)}, {diff_input(0)}};
  return std::nullopt;
}

}  // namespace resnet::rules
