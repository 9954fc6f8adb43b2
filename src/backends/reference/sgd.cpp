#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

void update(const SgdUpdate& op, const OpDesc& desc, const KernelArgs& args) {
  const In grad(args.in[0]), hyper(args.in[1]), w(args.out[0]), h(args.out[1]);
  const Out weights = output(desc, args, 0), history = output(desc, args, 1);
  const double rate = hyper[0], decay = hyper[1], momentum = hyper[2], scale = hyper[3];
  for (int64_t i = 0; i < desc.out[0].count(); ++i) {
    const double sign = static_cast<double>(w[i] > 0) - static_cast<double>(w[i] < 0);
    const double g = scale * grad[i] + decay * (op.l1 ? sign : w[i]);
    const double after = rounded(desc.out[1].dtype, momentum * h[i] + rate * g);
    history.set(i, after);
    weights.set(i, w[i] - (op.nesterov ? (1 + momentum) * after - momentum * h[i] : after));
  }
}

}  // namespace

Implementation implement(const SgdUpdate& op, const OpDesc& desc) {
  if (desc.accumulates(0) || desc.accumulates(1)) {
    return refuse("weights and history are updated, not accumulated");
  }
  return {"", [=](const KernelArgs& a) { update(op, desc, a); }, {}};
}

}  // namespace resnet::reference
