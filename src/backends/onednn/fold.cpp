#include <cmath>

#include "backends/onednn/implementation.h"

namespace resnet::onednn {
namespace {

// gamma * (conv + bias - mean) / std + beta as a convolution of its own.
void fold(const FoldBatchNorm& op, const KernelArgs& args) {
  size_t next = 0;
  const auto take = [&](bool present) { return present ? args.in[next++].as<float>() : nullptr; };
  const float *weights = take(true), *bias = take(op.bias);
  const float *mean = take(true), *variance = take(true), *factor = take(true);
  const float *gamma = take(op.gamma), *beta = take(op.beta);
  float *folded = args.out[0].as<float>(), *folded_bias = args.out[1].as<float>();
  const double f = factor[0] == 0 ? 0 : 1.0 / factor[0];
  const Shape& shape = args.in[0].desc.shape;
  const int64_t size = shape.count_from(1);
  for (int64_t o = 0; o < shape[0]; ++o) {
    const double scale = (gamma ? gamma[o] : 1) / std::sqrt(variance[o] * f + op.eps);
    for (int64_t i = o * size; i < (o + 1) * size; ++i) {
      folded[i] = static_cast<float>(weights[i] * scale);
    }
    const double centred = (bias ? bias[o] : 0) - mean[o] * f;
    folded_bias[o] = static_cast<float>(centred * scale + (beta ? beta[o] : 0));
  }
}

}  // namespace

Implementation implement(const FoldBatchNorm& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  share_plain_layout(result, {in_slot(0), out_slot(0)});
  result.make = [op] {
    return own_kernel("plain", 0, [op](const KernelArgs& args) { fold(op, args); });
  };
  return result;
}

}  // namespace resnet::onednn
