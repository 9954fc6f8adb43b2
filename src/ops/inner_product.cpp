#include "ops/rules.h"

namespace resnet::rules {
namespace {

constexpr const char* kName = "InnerProduct";

}  // namespace

Descs infer(const InnerProduct& op, const Descs& in) {
  check_inputs(kName, in, 2u + op.bias);
  const TensorDesc& src = in[0];
  const int axis = src.shape.canonical_axis(op.axis);
  require(op.num_output >= 1, kName,
          "num_output must be positive, got " + std::to_string(op.num_output));
  const int64_t k = src.shape.count_from(axis);
  check_shape(kName, "weights", in[1].shape,
              op.transpose ? Shape{k, op.num_output} : Shape{op.num_output, k});
  if (op.bias) check_shape(kName, "bias", in[2].shape, Shape{op.num_output});
  std::vector<int64_t> dims = src.shape.dims();
  dims.resize(static_cast<size_t>(axis));
  dims.push_back(op.num_output);
  return {like(src, Shape(dims))};
}

std::string describe(const InnerProduct& op) {
  std::string text = "o" + std::to_string(op.num_output);
  if (op.axis != 1) text += " axis=" + std::to_string(op.axis);
  if (op.transpose) text += " transpose";
  if (op.bias) text += " bias";
  return text;
}

std::optional<Signature> signature(const InnerProduct& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass == Pass::backward_data) return Signature{{diff_output(0), input(1)}, {diff_input(0)}};
  if (pass == Pass::backward_weights) {
    Signature s{{input(0), diff_output(0)}, {diff_input(1)}};
    if (op.bias) s.out.push_back(diff_input(2));
    return s;
  }
  return std::nullopt;
}

}  // namespace resnet::rules
