// InnerProduct: products of matrices by cuBLAS, biases by own kernels.
#include "backends/cuda/column_sums.h"
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"
#include "backends/cuda/libraries.h"

namespace resnet::cuda {
namespace {

// dst (rows, columns) += bias (columns)
__global__ void __launch_bounds__(kThreads)
    add_bias(const float* bias, int64_t columns, int64_t count, float* dst) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i < count) dst[i] += bias[Quotient(i, columns).remainder];
}

// src (rows, k), weights (outputs, k) or, transposed, (k, outputs), dst (rows, outputs).
struct Matrices {
  int64_t rows, k, outputs;
  bool transpose, bias;
  Matrices(const InnerProduct& op, const Shape& src)
      : rows(src.count(0, src.canonical_axis(op.axis))),
        k(src.count_from(src.canonical_axis(op.axis))),
        outputs(op.num_output),
        transpose(op.transpose),
        bias(op.bias) {}
};

void forward(const Device& device, const Matrices& m, bool add, const KernelArgs& args) {
  auto* dst = args.out[0].as<float>();
  gemm(device, false, !m.transpose, m.rows, m.outputs, m.k, 1, args.in[0].as<float>(),
       args.in[1].as<float>(), add ? 1.0F : 0.0F, dst);
  if (!m.bias) return;
  const int64_t count = m.rows * m.outputs;
  launch(device.stream(), blocks_for(count), kThreads, add_bias, args.in[2].as<float>(), m.outputs,
         count, dst);
}

void backward_data(const Device& device, const Matrices& m, bool add, const KernelArgs& args) {
  gemm(device, false, m.transpose, m.rows, m.k, m.outputs, 1, args.in[0].as<float>(),
       args.in[1].as<float>(), add ? 1.0F : 0.0F, args.out[0].as<float>());
}

void backward_weights(const Device& device, const Matrices& m, bool add, bool add_bias,
                      const KernelArgs& args) {
  const auto *src = args.in[0].as<const float>(), *diff_dst = args.in[1].as<const float>();
  const float beta = add ? 1.0F : 0.0F;
  auto* diff_weights = args.out[0].as<float>();
  if (m.transpose) {
    gemm(device, true, false, m.k, m.outputs, m.rows, 1, src, diff_dst, beta, diff_weights);
  } else {
    gemm(device, true, false, m.outputs, m.k, m.rows, 1, diff_dst, src, beta, diff_weights);
  }
  if (!m.bias) return;
  column_sums(device.stream(), diff_dst, m.rows, m.outputs, reinterpret_cast<float*>(args.scratch),
              {args.out[1].as<float>(), add_bias});
}

}  // namespace

Implementation implement(const InnerProduct& op, const OpDesc& desc) {
  Implementation result{.refusal = "", .desc = desc};
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (result.refusal.empty()) result.refusal = refuse_unless_f32("an operand", t);
    }
  }
  if (!result.refusal.empty()) return result;
  use_plain(result);
  result.accumulable = {0};
  const bool add = desc.accumulates(0);
  const Matrices m(op, desc.pass == Pass::backward_data ? desc.out[0].shape : desc.in[0].shape);
  switch (desc.pass) {
    case Pass::forward:
      result.make = [=](const Device& device) {
        return own_kernel("cublas", 0,
                          [=, &device](const KernelArgs& args) { forward(device, m, add, args); });
      };
      break;
    case Pass::backward_data:
      result.make = [=](const Device& device) {
        return own_kernel("cublas", 0, [=, &device](const KernelArgs& args) {
          backward_data(device, m, add, args);
        });
      };
      break;
    default: {
      if (m.bias) result.accumulable.push_back(1);
      ScratchPlan scratch;
      if (m.bias) scratch.take<float>(column_sums_scratch(m.rows, m.outputs));
      const bool add_bias = desc.accumulates(1);
      result.make = [=](const Device& device) {
        return own_kernel("cublas", scratch.bytes(), [=, &device](const KernelArgs& args) {
          backward_weights(device, m, add, add_bias, args);
        });
      };
    }
  }
  return result;
}

}  // namespace resnet::cuda
