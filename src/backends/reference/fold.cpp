#include <cmath>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// gamma * (conv + bias - mean) / std + beta as a convolution of its own.
void fold(const FoldBatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  size_t next = 0;
  const In weights(args.in[next++]);
  const In bias(args.in[op.bias ? next++ : 0]);
  const In mean(args.in[next]), variance(args.in[next + 1]), factor(args.in[next + 2]);
  next += 3;
  const In gamma(args.in[op.gamma ? next++ : 0]), beta(args.in[op.beta ? next++ : 0]);
  const Out folded = output(desc, args, 0), folded_bias = output(desc, args, 1);
  const double f = factor[0] == 0 ? 0 : 1 / factor[0];
  const int64_t outputs = desc.in[0].shape[0], size = desc.in[0].shape.count_from(1);
  for (int64_t o = 0; o < outputs; ++o) {
    const double scale = (op.gamma ? gamma[o] : 1) / std::sqrt(variance[o] * f + op.eps);
    for (int64_t i = o * size; i < (o + 1) * size; ++i) folded.set(i, weights[i] * scale);
    folded_bias.set(o, ((op.bias ? bias[o] : 0) - mean[o] * f) * scale + (op.beta ? beta[o] : 0));
  }
}

}  // namespace

Implementation implement(const FoldBatchNorm& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { fold(op, desc, a); }, {}};
}

}  // namespace resnet::reference
