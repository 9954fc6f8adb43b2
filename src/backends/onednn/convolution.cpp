// Convolution by oneDNN: directly, or by Winograd's algorithm F(4x4, 3x3) where algorithms.h decides so. bf16:
// sums in f32, gradients of weights in f32.
#include <optional>

#include "backends/onednn/algorithms.h"
#include "backends/onednn/implementation.h"
#include "backends/onednn/primitive.h"
#include "resnet/base/error.h"

namespace resnet::onednn {
namespace {

using ForwardPd = dnnl::convolution_forward::primitive_desc;
using DataPd = dnnl::convolution_backward_data::primitive_desc;
using WeightsPd = dnnl::convolution_backward_weights::primitive_desc;
constexpr auto kDirect = dnnl::algorithm::convolution_direct;
constexpr auto kWinograd = dnnl::algorithm::convolution_winograd;

// Memory of the three tensors that every pass speaks of.
struct Memories {
  MemoryDesc src, weights, dst;
};

// A convolution in oneDNN's terms.
class Problem {
 public:
  Problem(const Convolution& op, const TensorDesc& src, const TensorDesc& weights,
          const TensorDesc& dst)
      : op_(op),
        type_(src.dtype),
        src_(dims_of(src.shape)),
        weights_(dims_of(weights.shape)),
        dst_(dims_of(dst.shape)) {
    if (op.groups > 1) {
      weights_[0] /= op.groups;
      weights_.insert(weights_.begin(), op.groups);
    }
    for (size_t i = 0; i < 2; ++i) {
      strides_.push_back(op.stride[i]);
      dilates_.push_back(op.dilation[i] - 1);
      pads_.push_back(op.pad[i]);
    }
  }

  DType type() const { return type_; }
  MemoryDesc any_gradient() const { return any_md(weights_, DType::f32); }
  Memories any() const {
    return {any_md(src_, type_), any_md(weights_, type_), any_md(dst_, type_)};
  }
  // Row-major activations; the library chooses the weights.
  Memories plain() const {
    return {plain_md(src_, type_), any_md(weights_, type_), plain_md(dst_, type_)};
  }
  // Activations in blocks of channels, where there are enough.
  Memories blocked(const Layouts& layouts) const {
    const int block = preferred_block();
    const auto activation = [&](const dnnl::memory::dims& dims) {
      const bool enough = dims[1] >= block;
      return layouts.md({Shape(dims), type_, enough ? Layout::blocked(block) : Layout::nchw()});
    };
    return {activation(src_), any_md(weights_, type_), activation(dst_)};
  }
  MemoryDesc plain_weights() const { return plain_md(weights_, type_); }
  MemoryDesc plain_gradient() const { return plain_md(weights_, DType::f32); }
  MemoryDesc bias() const { return plain_md({dst_[1]}, DType::f32); }

  ForwardPd forward(const Memories& m, bool with_sum = false,
                    dnnl::algorithm algorithm = kDirect) const {
    dnnl::primitive_attr attributes = default_attributes();
    dnnl::post_ops steps;
    if (with_sum) steps.append_sum();
    if (with_sum || op_.relu) {
      if (op_.relu) steps.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
      attributes.set_post_ops(steps);
    }
    const auto kind =
        op_.fixed_weights ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
    if (op_.bias) {
      return {{kind, algorithm, m.src, m.weights, bias(), m.dst, strides_, dilates_, pads_, pads_},
              attributes,
              engine()};
    }
    return {{kind, algorithm, m.src, m.weights, m.dst, strides_, dilates_, pads_, pads_},
            attributes,
            engine()};
  }
  DataPd backward_data(const Memories& m, dnnl::algorithm algorithm = kDirect) const {
    return {{algorithm, m.src, m.weights, m.dst, strides_, dilates_, pads_, pads_},
            default_attributes(),
            engine(),
            forward(any())};
  }
  WeightsPd backward_weights(const Memories& m, dnnl::algorithm algorithm = kDirect) const {
    if (op_.bias) {
      return {{algorithm, m.src, m.weights, bias(), m.dst, strides_, dilates_, pads_, pads_},
              default_attributes(),
              engine(),
              forward(any())};
    }
    return {{algorithm, m.src, m.weights, m.dst, strides_, dilates_, pads_, pads_},
            default_attributes(),
            engine(),
            forward(any())};
  }

 private:
  Convolution op_;
  DType type_;
  dnnl::memory::dims src_, weights_, dst_, strides_, dilates_, pads_;
};

bool is_slow(const dnnl::primitive_desc_base& pd) {
  return std::string(pd.impl_info_str()).find("ref") != std::string::npos;
}

// Whether our own kernels compute in this layout.
bool is_known(const Layout& layout) {
  return layout.is_plain() || layout.kind == Layout::Kind::blocked;
}

// The layouts for all passes of a convolution: what oneDNN likes best for forward, blocks, or row-major
// activations: the first that our own kernels know and in which it also computes the gradient of the
// weights (in f32 with weights of the same layout).
Memories preferred_memories(const Problem& problem, Layouts& layouts) {
  for (const Memories& wish : {problem.any(), problem.blocked(layouts), problem.plain()}) {
    const ForwardPd forward = problem.forward(wish);
    const Memories found{forward.src_desc(), forward.weights_desc(), forward.dst_desc()};
    if (!is_known(layouts.activation(found.src)) || !is_known(layouts.activation(found.dst)) ||
        is_slow(forward)) {
      continue;
    }
    Memories gradient = found;
    if (problem.type() != DType::f32) gradient.weights = problem.any_gradient();
    if (!is_slow(problem.backward_weights(gradient))) return found;
  }
  Memories plain = problem.plain();
  plain.weights = problem.plain_weights();
  return plain;
}

// Memory of a tensor whose layout is fixed, or `otherwise`. Row-major weights take the dimensions
// that oneDNN wants.
MemoryDesc fixed_or(const TensorDesc& desc, const MemoryDesc& otherwise, const Layouts& layouts) {
  return desc.layout.kind == Layout::Kind::any ? otherwise : layouts.md(desc);
}
MemoryDesc fixed_weights_or(const TensorDesc& desc, const MemoryDesc& otherwise,
                            const Problem& problem, const Layouts& layouts) {
  return desc.layout.is_plain() ? problem.plain_weights() : fixed_or(desc, otherwise, layouts);
}

Layout nchw_if_any(const Layout& layout) {
  return layout.kind == Layout::Kind::any ? Layout::nchw() : layout;
}

// Copies the addend to dst, to which the primitive adds.
class SumKernel final : public PrimitiveKernel {
 public:
  SumKernel(dnnl::primitive primitive, const dnnl::primitive_desc_base& desc,
            std::vector<Binding> bindings, size_t addend, int64_t bytes)
      : PrimitiveKernel(std::move(primitive), desc, std::move(bindings)),
        addend_(addend),
        bytes_(bytes) {}
  void run(const KernelArgs& args) const override {
    parallel_copy(args.out[0].data, args.in[addend_].data, bytes_);
    PrimitiveKernel::run(args);
  }

 private:
  size_t addend_;
  int64_t bytes_;
};

Implementation forward(const Convolution& op, const OpDesc& desc, Layouts& layouts,
                       dnnl::algorithm algorithm) {
  Implementation result{"", desc};
  TensorDesc &src = result.desc.in[0], &weights = result.desc.in[1], &dst = result.desc.out[0];
  const Problem problem(op, src, weights, dst);
  Memories m = preferred_memories(problem, layouts);
  m.dst = fixed_or(dst, m.dst, layouts);
  if (algorithm == kWinograd) m.weights = problem.any().weights;
  m.weights = problem.forward(m, op.sum, algorithm).weights_desc();
  src.layout = layouts.activation(m.src);
  weights.layout = layouts.weights(m.weights);
  dst.layout = layouts.activation(m.dst);
  if (op.bias) result.desc.in[2].layout = Layout::nchw();
  const size_t addend = result.desc.in.size() - 1;
  if (op.sum) {
    result.desc.in[addend].layout = dst.layout;
    result.in_place = {{0, static_cast<int>(addend)}};
  }
  result.make = [=, bytes = layouts.bytes(dst)]() -> std::shared_ptr<const Kernel> {
    const ForwardPd pd = problem.forward(m, op.sum, algorithm);
    std::vector<Binding> bindings{{DNNL_ARG_SRC, m.src, false, 0},
                                  {DNNL_ARG_WEIGHTS, m.weights, false, 1},
                                  {DNNL_ARG_DST, m.dst, true, 0}};
    if (op.bias) bindings.push_back({DNNL_ARG_BIAS, problem.bias(), false, 2});
    const dnnl::convolution_forward primitive(pd);
    if (op.sum) {
      return std::make_shared<SumKernel>(primitive, pd, std::move(bindings), addend, bytes);
    }
    return std::make_shared<PrimitiveKernel>(primitive, pd, std::move(bindings));
  };
  return result;
}

Implementation backward_data(const Convolution& op, const OpDesc& desc, Layouts& layouts,
                             dnnl::algorithm algorithm) {
  Implementation result{"", desc};
  TensorDesc &diff_dst = result.desc.in[0], &weights = result.desc.in[1];
  TensorDesc& diff_src = result.desc.out[0];
  const Problem problem(op, diff_src, weights, diff_dst);
  const Memories preferred = preferred_memories(problem, layouts);
  const MemoryDesc any_weights = problem.any().weights;
  // Row-major src (few channels) is no layout for its gradient: the library chooses that one.
  const bool plain_src = layouts.activation(preferred.src).is_plain();
  const MemoryDesc wish = plain_src ? problem.any().src : preferred.src;
  Memories m{fixed_or(diff_src, wish, layouts),
             fixed_weights_or(weights, any_weights, problem, layouts), preferred.dst};
  DataPd pd = problem.backward_data(m, algorithm);
  if (is_slow(pd)) {
    m.weights = any_weights;
    pd = problem.backward_data(m, algorithm);
  }
  m = {pd.diff_src_desc(), pd.weights_desc(), pd.diff_dst_desc()};
  diff_src.layout = layouts.activation(m.src);
  weights.layout = layouts.weights(m.weights);
  diff_dst.layout = layouts.activation(m.dst);
  result.make = [=] {
    const DataPd found = problem.backward_data(m, algorithm);
    return std::make_shared<PrimitiveKernel>(
        dnnl::convolution_backward_data(found), found,
        std::vector<Binding>{{DNNL_ARG_DIFF_DST, m.dst, false, 0},
                             {DNNL_ARG_WEIGHTS, m.weights, false, 1},
                             {DNNL_ARG_DIFF_SRC, m.src, true, 0}});
  };
  return result;
}

Implementation backward_weights(const Convolution& op, const OpDesc& desc, Layouts& layouts,
                                dnnl::algorithm algorithm) {
  Implementation result{"", desc};
  TensorDesc &src = result.desc.in[0], &diff_dst = result.desc.in[1];
  TensorDesc& diff_weights = result.desc.out[0];
  const Problem problem(op, src, diff_weights, diff_dst);
  Memories m = preferred_memories(problem, layouts);
  if (diff_weights.layout.is_plain()) {
    m.weights = problem.plain_gradient();
  } else if (problem.type() == DType::f32) {
    m.weights = fixed_or(diff_weights, m.weights, layouts);
  } else {
    m.weights = fixed_or(diff_weights, problem.any_gradient(), layouts);
    m.weights = problem.backward_weights(m).diff_weights_desc();
  }
  src.layout = layouts.activation(m.src);
  diff_dst.layout = layouts.activation(m.dst);
  diff_weights.layout = layouts.weights(m.weights);
  if (op.bias) result.desc.out[1].layout = nchw_if_any(result.desc.out[1].layout);
  if (algorithm == kWinograd) problem.backward_weights(m, algorithm);  // throws where it is unknown
  result.make = [=] {
    const WeightsPd pd = problem.backward_weights(m, algorithm);
    std::vector<Binding> bindings{{DNNL_ARG_SRC, m.src, false, 0},
                                  {DNNL_ARG_DIFF_DST, m.dst, false, 1},
                                  {DNNL_ARG_DIFF_WEIGHTS, m.weights, true, 0}};
    if (op.bias) bindings.push_back({DNNL_ARG_DIFF_BIAS, problem.bias(), true, 1});
    return std::make_shared<PrimitiveKernel>(dnnl::convolution_backward_weights(pd), pd,
                                             std::move(bindings));
  };
  return result;
}

}  // namespace

Implementation implement(const Convolution& op, const OpDesc& desc, Layouts& layouts,
                         Algorithms& algorithms) {
  if (desc.in[0].shape.rank() != 4) {
    return refuse(desc, "src must be (N,C,H,W), got " + desc.in[0].shape.str());
  }
  const auto with = [&](Algorithm wanted) -> std::optional<Implementation> {
    const dnnl::algorithm algorithm = wanted == Algorithm::winograd ? kWinograd : kDirect;
    try {
      switch (desc.pass) {
        case Pass::forward:
          return forward(op, desc, layouts, algorithm);
        case Pass::backward_data:
          return backward_data(op, desc, layouts, algorithm);
        default:
          return backward_weights(op, desc, layouts, algorithm);
      }
    } catch (const dnnl::error& e) {
      // Winograd's algorithm is known for some layouts only.
      if (wanted == Algorithm::direct || e.status != dnnl_unimplemented) throw;
      return std::nullopt;
    }
  };
  return algorithms.choose(desc, layouts, with);
}

}  // namespace resnet::onednn
