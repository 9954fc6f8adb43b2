#include <algorithm>

#include "backends/onednn/implementation.h"

namespace resnet::onednn {
namespace {

PoolShape pool_shape(const Pooling& op, const Shape& src, const Shape& dst) {
  PoolShape s{};
  for (int i = 0; i < 2; ++i) {
    const auto k = static_cast<size_t>(i);
    s.src[i] = src[2 + i];
    s.dst[i] = dst[2 + i];
    s.kernel[i] = op.kernel[k];
    s.stride[i] = op.stride[k];
    s.pad[i] = op.pad[k];
  }
  return s;
}

template <class T>
struct PoolKernel {
  Pooling op;
  OpDesc desc;
  PoolShape shape;
  const BlockKernels<T>* kernels;
  int64_t planes, src_plane, dst_plane;  // planes of one channel block; values in one

  PoolKernel(const Pooling& o, const OpDesc& d, const Layout& layout) : op(o), desc(d) {
    const bool forward = d.pass == Pass::forward;
    const Shape& src = forward ? d.in[0].shape : d.out[0].shape;
    const Shape& dst = forward ? d.out[0].shape : d.in[0].shape;
    const int width = layout.is_plain() ? 1 : layout.tag;
    shape = pool_shape(o, src, dst);
    kernels = block_kernels<T>(width);
    planes = src[0] * ((src[1] + width - 1) / width);
    src_plane = src.count_from(2) * width;
    dst_plane = dst.count_from(2) * width;
  }

  void run(const KernelArgs& args) const {
    constexpr int64_t kGrainValues = 16384;
    const int64_t grain = std::max<int64_t>(1, kGrainValues / std::max<int64_t>(src_plane, 1));
    parallel_for(planes, grain, [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane) {
        if (desc.pass == Pass::forward) {
          forward(args, plane);
        } else {
          backward(args, plane);
        }
      }
    });
  }

 private:
  bool index_is_u8() const { return op.kernel[0] * op.kernel[1] <= 255; }

  void forward(const KernelArgs& args, int64_t plane) const {
    const T* src = args.in[0].template as<T>() + plane * src_plane;
    const int64_t at = plane * dst_plane;
    T* dst = args.out[0].template as<T>() + at;
    if (op.kind == Pooling::Kind::average) {
      kernels->average_pool(shape, src, dst);
    } else if (!op.has_index) {
      kernels->max_pool_u8(shape, src, dst, nullptr);
    } else if (index_is_u8()) {
      kernels->max_pool_u8(shape, src, dst, args.out[1].as<uint8_t>() + at);
    } else {
      kernels->max_pool_i32(shape, src, dst, args.out[1].as<int32_t>() + at);
    }
  }

  void backward(const KernelArgs& args, int64_t plane) const {
    const int64_t at = plane * dst_plane;
    const T* diff_dst = args.in[0].template as<T>() + at;
    T* diff_src = args.out[0].template as<T>() + plane * src_plane;
    const bool accumulate = desc.accumulates(0);
    if (op.kind == Pooling::Kind::average) {
      kernels->average_pool_backward(shape, diff_dst, diff_src, accumulate);
    } else if (index_is_u8()) {
      kernels->max_pool_backward_u8(shape, diff_dst, args.in[1].as<uint8_t>() + at, diff_src,
                                    accumulate);
    } else {
      kernels->max_pool_backward_i32(shape, diff_dst, args.in[1].as<int32_t>() + at, diff_src,
                                     accumulate);
    }
  }
};

}  // namespace

Implementation implement(const Pooling& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  std::vector<Slot> activations;
  if (desc.pass == Pass::forward) {
    activations = {out_slot(0), in_slot(0)};
    if (op.has_index) activations.push_back(out_slot(1));
  } else {
    // The layout that the index had in forward, else that of the large tensor.
    if (op.has_index) activations.push_back(in_slot(1));
    activations.push_back(out_slot(0));
    activations.push_back(in_slot(0));
    result.accumulable = {0};
  }
  const Layout layout = share_layout(result, activations);
  result.make = [op, layout, resolved = result.desc] {
    const DType type =
        resolved.pass == Pass::forward ? resolved.in[0].dtype : resolved.out[0].dtype;
    Run run = for_storage(type, [&]<class T>(T) -> Run {
      const PoolKernel<T> kernel(op, resolved, layout);
      return [kernel](const KernelArgs& args) { kernel.run(args); };
    });
    return own_kernel(own_impl(layout, type), 0, std::move(run));
  };
  return result;
}

}  // namespace resnet::onednn
