#include <cmath>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// gamma * (conv + bias - mean) / std + beta as a convolution of its own.
void fold(const FoldBatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const In weights = in.take(), bias = in.take(op.bias);
  const In mean = in.take(), variance = in.take(), factor = in.take();
  const In gamma = in.take(op.gamma), beta = in.take(op.beta);
  const Out folded = output(desc, args, 0), folded_bias = output(desc, args, 1);
  const double f = factor[0] == 0 ? 0 : 1 / factor[0];
  const int64_t outputs = desc.in[0].shape[0], size = desc.in[0].shape.count_from(1);
  for (int64_t o = 0; o < outputs; ++o) {
    const double scale = gamma.get(o, 1) / std::sqrt(variance[o] * f + op.eps);
    for (int64_t i = o * size; i < (o + 1) * size; ++i) folded.set(i, weights[i] * scale);
    folded_bias.set(o, (bias.get(o, 0) - mean[o] * f) * scale + beta.get(o, 0));
  }
}

}  // namespace

Implementation implement(const FoldBatchNorm& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { fold(op, desc, a); }, {}};
}

}  // namespace resnet::reference
