#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// src (rows, k), weights (outputs, k) or (k, outputs), dst (rows, outputs).
struct Matrices {
  int64_t rows, k, outputs;
  bool transpose;
  Matrices(const InnerProduct& op, const Shape& src)
      : rows(src.count(0, src.canonical_axis(op.axis))),
        k(src.count_from(src.canonical_axis(op.axis))),
        outputs(op.num_output),
        transpose(op.transpose) {}
  int64_t weight(int64_t o, int64_t i) const { return transpose ? i * outputs + o : o * k + i; }
};

void forward(const InnerProduct& op, const OpDesc& desc, const KernelArgs& args) {
  const Matrices m(op, desc.in[0].shape);
  Inputs in(args);
  const In src = in.take(), weights = in.take(), bias = in.take(op.bias);
  const Out dst = output(desc, args, 0);
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t o = 0; o < m.outputs; ++o) {
      double sum = bias.get(o, 0);
      for (int64_t i = 0; i < m.k; ++i) sum += src[r * m.k + i] * weights[m.weight(o, i)];
      dst.set(r * m.outputs + o, sum);
    }
  }
}

void backward_data(const InnerProduct& op, const OpDesc& desc, const KernelArgs& args) {
  const Matrices m(op, desc.out[0].shape);
  const In diff_dst(args.in[0]), weights(args.in[1]);
  const Out diff_src = output(desc, args, 0);
  for (int64_t r = 0; r < m.rows; ++r) {
    for (int64_t i = 0; i < m.k; ++i) {
      double sum = 0;
      for (int64_t o = 0; o < m.outputs; ++o) {
        sum += diff_dst[r * m.outputs + o] * weights[m.weight(o, i)];
      }
      diff_src.set(r * m.k + i, sum);
    }
  }
}

void backward_weights(const InnerProduct& op, const OpDesc& desc, const KernelArgs& args) {
  const Matrices m(op, desc.in[0].shape);
  const In src(args.in[0]), diff_dst(args.in[1]);
  const Out diff_weights = output(desc, args, 0);
  for (int64_t o = 0; o < m.outputs; ++o) {
    for (int64_t i = 0; i < m.k; ++i) {
      double sum = 0;
      for (int64_t r = 0; r < m.rows; ++r) {
        sum += src[r * m.k + i] * diff_dst[r * m.outputs + o];
      }
      diff_weights.set(m.weight(o, i), sum);
    }
    if (!op.bias) continue;
    double sum = 0;
    for (int64_t r = 0; r < m.rows; ++r) sum += diff_dst[r * m.outputs + o];
    output(desc, args, 1).set(o, sum);
  }
}

}  // namespace

Implementation implement(const InnerProduct& op, const OpDesc& desc) {
  switch (desc.pass) {
    case Pass::forward:
      return {"", [=](const KernelArgs& a) { forward(op, desc, a); }, {}};
    case Pass::backward_data:
      return {"", [=](const KernelArgs& a) { backward_data(op, desc, a); }, {}};
    default:
      return {"", [=](const KernelArgs& a) { backward_weights(op, desc, a); }, {}};
  }
}

}  // namespace resnet::reference
