#include "ops/rules.h"

namespace resnet::rules {

Descs infer(const FoldBatchNorm& op, const Descs& in) {
  constexpr const char* kName = "FoldBatchNorm";
  check_inputs(kName, in, 4u + op.bias + op.gamma + op.beta);
  const TensorDesc& weights = in[0];
  require(weights.shape.rank() >= 1, kName, "weights must have a dimension of output channels");
  require(op.eps > 0, kName, "eps must be positive, got " + std::to_string(op.eps));
  const Shape per_channel{weights.shape[0]};
  size_t next = 1;
  if (op.bias) check_shape(kName, "bias", in[next++].shape, per_channel);
  check_shape(kName, "mean", in[next++].shape, per_channel);
  check_shape(kName, "variance", in[next++].shape, per_channel);
  check_shape(kName, "factor", in[next++].shape, Shape{1});
  if (op.gamma) check_shape(kName, "gamma", in[next++].shape, per_channel);
  if (op.beta) check_shape(kName, "beta", in[next++].shape, per_channel);
  return {like(weights, weights.shape), like(weights, per_channel)};
}

std::string describe(const FoldBatchNorm& op) {
  std::string text;
  if (static_cast<float>(op.eps) != 1e-5F) {
    char eps[32];
    std::snprintf(eps, sizeof eps, " eps=%g", op.eps);
    text += eps;
  }
  if (op.bias) text += " bias";
  if (op.gamma) text += " gamma";
  if (op.beta) text += " beta";
  return text.empty() ? text : text.substr(1);
}

std::optional<Signature> signature(const FoldBatchNorm&, Pass pass, int n) {
  return forward_only(pass, n, 2);
}

}  // namespace resnet::rules
