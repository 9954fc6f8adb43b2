// The update of all parameters by one SGD step.
#include <cmath>

#include "net/impl.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

TensorDesc exact(int64_t count) {
  return {.shape = {count}, .dtype = DType::f64, .layout = Layout::nchw()};
}

}  // namespace

Tensor Net::Impl::hyper_tensor() {
  const TensorDesc desc = exact(4);
  grow(hyper, desc.bytes());
  return hyper.view(desc);
}

Tensor Net::Impl::enqueue_norm() {
  const TensorDesc desc = exact(1);
  grow(norm, desc.bytes());
  const Tensor gradients = store.gradients();
  const Tensor result = norm.view(desc);
  run_kernel({.op = SquaredNorm{}, .in = {gradients.desc}, .out = {desc}, .accumulate = {}},
             std::span(&gradients, 1), std::span(&result, 1));
  return result;
}

// Neighbours with equal multipliers are updated at once: mostly that is all of them.
void Net::Impl::enqueue_sgd(bool nesterov, bool l1) {
  const Tensor settings = hyper_tensor();
  const auto count = static_cast<int>(parameters.size());
  const auto updated = [&](int i) {
    return trained(i) && parameters[static_cast<size_t>(i)].lr_mult != 0;
  };
  const auto alike = [&](int a, int b) {
    const Parameter& first = parameters[static_cast<size_t>(a)];
    const Parameter& second = parameters[static_cast<size_t>(b)];
    return first.lr_mult == second.lr_mult && first.decay_mult == second.decay_mult;
  };
  for (int first = 0, last = 0; first < count; first = last + 1) {
    last = first;
    if (!updated(first)) continue;
    int next = first + 1;
    for (; next < count; ++next) {
      if (!trained(next)) continue;  // lies elsewhere
      if (!updated(next) || !alike(first, next)) break;
      last = next;
    }
    const Parameter& p = parameters[static_cast<size_t>(first)];
    const ParameterStore::Flat part = store.flat(first, last);
    const SgdUpdate op{.nesterov = nesterov,
                       .l1 = l1,
                       .rate_mult = p.lr_mult,
                       .decay_mult = p.decay_mult,
                       .copy_type = store.has_copies() ? options.plan.math : DType::f32};
    const Tensor in[] = {part.gradient, settings};
    std::vector<Tensor> out{part.weights, part.history};
    if (store.has_copies()) out.push_back(part.copy);
    OpDesc desc{.op = op, .in = {part.gradient.desc, settings.desc}, .out = {}, .accumulate = {}};
    for (const Tensor& t : out) desc.out.push_back(t.desc);
    run_kernel(desc, in, out);
  }
  ++weights_version;
}

double Net::gradient_norm() {
  impl_->ensure_store();
  const double norm = std::sqrt(impl_->scalars(impl_->enqueue_norm())[0]);
  return norm / impl_->scalars(impl_->state_tensor())[train_state::kLossScale];
}

void Net::update(const Update& u) {
  Impl& s = *impl_;
  s.ensure_store();
  double gradient_scale = 1.0 / u.iter_size;
  if (s.loss_scaling()) gradient_scale /= s.scalars(s.state_tensor())[train_state::kLossScale];
  if (u.clip_gradients >= 0) {
    const double norm = gradient_norm();
    if (norm > u.clip_gradients) gradient_scale *= u.clip_gradients / norm;
  }
  const double values[] = {u.rate, u.weight_decay, u.momentum, gradient_scale};
  s.put(s.hyper_tensor(), values);
  s.enqueue_sgd(u.nesterov, u.l1);
}

}  // namespace resnet
