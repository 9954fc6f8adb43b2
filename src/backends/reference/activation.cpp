// Relu, Scale and Dropout.
#include "backends/reference/kernels.h"
#include "resnet/base/random.h"

namespace resnet::reference {
namespace {

void relu_forward(const Relu& op, const OpDesc& desc, const KernelArgs& args) {
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i)
    dst.set(i, src[i] > 0 ? src[i] : op.slope * src[i]);
}

void relu_backward(const Relu& op, const OpDesc& desc, const KernelArgs& args) {
  const In diff_dst(args.in[0]), dst(args.in[1]);
  const Out diff_src = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) {
    diff_src.set(i, dst[i] > 0 ? diff_dst[i] : op.slope * diff_dst[i]);
  }
}

// src seen as (outer, gamma's elements, inner).
struct ScaleView {
  int64_t outer, middle, inner;
  ScaleView(const Scale& op, const Shape& src)
      : outer(src.count(0, src.canonical_axis(op.axis))),
        middle(src.count(src.canonical_axis(op.axis), src.canonical_axis(op.axis) + op.num_axes)),
        inner(src.count_from(src.canonical_axis(op.axis) + op.num_axes)) {}
  int64_t at(int64_t o, int64_t k, int64_t i) const { return (o * middle + k) * inner + i; }
};

void scale_forward(const Scale& op, const OpDesc& desc, const KernelArgs& args) {
  const ScaleView v(op, desc.in[0].shape);
  Inputs in(args);
  const In src = in.take(), gamma = in.take(), beta = in.take(op.bias);
  const Out dst = output(desc, args, 0);
  for (int64_t o = 0; o < v.outer; ++o) {
    for (int64_t k = 0; k < v.middle; ++k) {
      for (int64_t i = 0; i < v.inner; ++i) {
        const int64_t at = v.at(o, k, i);
        dst.set(at, src[at] * gamma[k] + beta.get(k, 0));
      }
    }
  }
}

void scale_backward(const Scale& op, const OpDesc& desc, const KernelArgs& args) {
  const ScaleView v(op, desc.in[1].shape);
  const In diff_dst(args.in[0]), src(args.in[1]), gamma(args.in[2]);
  const Out diff_src = output(desc, args, 0), diff_gamma = output(desc, args, 1);
  for (int64_t k = 0; k < v.middle; ++k) {
    double gamma_sum = 0, beta_sum = 0;
    for (int64_t o = 0; o < v.outer; ++o) {
      for (int64_t i = 0; i < v.inner; ++i) {
        const int64_t at = v.at(o, k, i);
        gamma_sum += diff_dst[at] * src[at];
        beta_sum += diff_dst[at];
        diff_src.set(at, diff_dst[at] * gamma[k]);
      }
    }
    diff_gamma.set(k, gamma_sum);
    if (op.bias) output(desc, args, 2).set(k, beta_sum);
  }
}

void dropout_forward(const Dropout& op, const OpDesc& desc, const KernelArgs& args) {
  const In src(args.in[0]), clock(args.in[1]);
  const Out dst = output(desc, args, 0);
  const auto seed = static_cast<uint64_t>(clock[0]), position = static_cast<uint64_t>(clock[1]);
  const int64_t images = desc.in[0].shape[0], size = desc.in[0].shape.count_from(1);
  for (int64_t n = 0; n < images; ++n) {
    Random random(seed, position + static_cast<uint64_t>(n), Use::dropout, op.layer_id);
    for (int64_t i = n * size; i < (n + 1) * size; ++i) {
      const bool keep = random.uniform() >= op.ratio;
      dst.set(i, keep ? src[i] / (1 - op.ratio) : 0);
      set_bit(args.out[1], i, keep);
    }
  }
}

void dropout_backward(const Dropout& op, const OpDesc& desc, const KernelArgs& args) {
  const In diff_dst(args.in[0]);
  const Out diff_src = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) {
    diff_src.set(i, get_bit(args.in[1], i) ? diff_dst[i] / (1 - op.ratio) : 0);
  }
}

}  // namespace

Implementation implement(const Relu& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { relu_forward(op, desc, a); }, {{0, 0}}};
  }
  return {"", [=](const KernelArgs& a) { relu_backward(op, desc, a); }, {{0, 0}}};
}

Implementation implement(const Scale& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { scale_forward(op, desc, a); }, {{0, 0}}};
  }
  return {"", [=](const KernelArgs& a) { scale_backward(op, desc, a); }, {{0, 0}}};
}

Implementation implement(const Dropout& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { dropout_forward(op, desc, a); }, {{0, 0}}};
  }
  return {"", [=](const KernelArgs& a) { dropout_backward(op, desc, a); }, {{0, 0}}};
}

}  // namespace resnet::reference
