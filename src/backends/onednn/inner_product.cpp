// InnerProduct on row-major matrices: forward by dot products of our own, whose order of additions does
// not depend on the number of rows, so that a net's scores for an image are the same in a batch of any
// size; backward, and transposed weights, by oneDNN's matrix products.
#include "backends/onednn/implementation.h"
#include "backends/onednn/primitive.h"

namespace resnet::onednn {
namespace {

using dnnl::inner_product_backward_data;
using dnnl::inner_product_backward_weights;
using dnnl::inner_product_forward;

// src (rows, k), weights (outputs, k) or stored as (k, outputs), dst (rows, outputs).
struct Matrices {
  bool has_bias;
  MemoryDesc src, weights, bias, dst;

  Matrices(const InnerProduct& op, const Shape& shape) : has_bias(op.bias) {
    const int axis = shape.canonical_axis(op.axis);
    const int64_t rows = shape.count(0, axis), k = shape.count_from(axis), o = op.num_output;
    src = plain_md({rows, k}, DType::f32);
    weights = op.transpose
                  ? MemoryDesc({o, k}, dnnl::memory::data_type::f32, dnnl::memory::dims{1, o})
                  : plain_md({o, k}, DType::f32);
    bias = plain_md({o}, DType::f32);
    dst = plain_md({rows, o}, DType::f32);
  }

  inner_product_forward::primitive_desc forward() const {
    constexpr auto kKind = dnnl::prop_kind::forward_training;
    if (has_bias) return {{kKind, src, weights, bias, dst}, default_attributes(), engine()};
    return {{kKind, src, weights, dst}, default_attributes(), engine()};
  }
  inner_product_backward_data::primitive_desc backward_data() const {
    return {{src, weights, dst}, default_attributes(), engine(), forward()};
  }
  inner_product_backward_weights::primitive_desc backward_weights() const {
    if (has_bias) return {{src, weights, bias, dst}, default_attributes(), engine(), forward()};
    return {{src, weights, dst}, default_attributes(), engine(), forward()};
  }
};

std::shared_ptr<const Kernel> make_dot_products(int64_t rows, int64_t k, int64_t outputs,
                                                bool has_bias) {
  const FlatKernels& flat = vector_kernels().flat;
  return own_kernel(std::string("dot:") + vector_kernels().isa, 0, [=](const KernelArgs& args) {
    const float* src = args.in[0].as<float>();
    const float* weights = args.in[1].as<float>();
    const float* bias = has_bias ? args.in[2].as<float>() : nullptr;
    float* dst = args.out[0].as<float>();
    // A row of weights stays in the cache for all rows of the source.
    parallel_for(outputs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) {
        for (int64_t n = 0; n < rows; ++n) {
          const float sum = flat.dot(src + n * k, weights + o * k, k);
          dst[n * outputs + o] = bias ? sum + bias[o] : sum;
        }
      }
    });
  });
}

std::shared_ptr<const Kernel> make_forward(const InnerProduct& op, const Shape& shape) {
  if (!op.transpose) {
    const int axis = shape.canonical_axis(op.axis);
    return make_dot_products(shape.count(0, axis), shape.count_from(axis), op.num_output, op.bias);
  }
  const Matrices m(op, shape);
  const auto pd = m.forward();
  std::vector<Binding> bindings{{DNNL_ARG_SRC, m.src, false, 0},
                                {DNNL_ARG_WEIGHTS, m.weights, false, 1},
                                {DNNL_ARG_DST, m.dst, true, 0}};
  if (m.has_bias) bindings.push_back({DNNL_ARG_BIAS, m.bias, false, 2});
  return std::make_shared<PrimitiveKernel>(inner_product_forward(pd), pd, std::move(bindings));
}

std::shared_ptr<const Kernel> make_backward_data(const Matrices& m) {
  const auto pd = m.backward_data();
  return std::make_shared<PrimitiveKernel>(
      inner_product_backward_data(pd), pd,
      std::vector<Binding>{{DNNL_ARG_DIFF_DST, m.dst, false, 0},
                           {DNNL_ARG_WEIGHTS, m.weights, false, 1},
                           {DNNL_ARG_DIFF_SRC, m.src, true, 0}});
}

std::shared_ptr<const Kernel> make_backward_weights(const Matrices& m) {
  const auto pd = m.backward_weights();
  std::vector<Binding> bindings{{DNNL_ARG_SRC, m.src, false, 0},
                                {DNNL_ARG_DIFF_DST, m.dst, false, 1},
                                {DNNL_ARG_DIFF_WEIGHTS, m.weights, true, 0}};
  if (m.has_bias) bindings.push_back({DNNL_ARG_DIFF_BIAS, m.bias, true, 1});
  return std::make_shared<PrimitiveKernel>(inner_product_backward_weights(pd), pd,
                                           std::move(bindings));
}

}  // namespace

Implementation implement(const InnerProduct& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  switch (desc.pass) {
    case Pass::forward:
      share_plain_layout(result, {out_slot(0), in_slot(0), in_slot(1)});
      result.make = [op, shape = desc.in[0].shape] { return make_forward(op, shape); };
      break;
    case Pass::backward_data:
      share_plain_layout(result, {out_slot(0), in_slot(0), in_slot(1)});
      result.make = [m = Matrices(op, desc.out[0].shape)] { return make_backward_data(m); };
      break;
    default:
      share_plain_layout(result, {out_slot(0), in_slot(0), in_slot(1)});
      result.make = [m = Matrices(op, desc.in[0].shape)] { return make_backward_weights(m); };
      break;
  }
  return result;
}

}  // namespace resnet::onednn
