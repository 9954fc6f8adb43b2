// Reshape, Reorder, Concat, Slice, IdentityShortcut and Fill.
#include <algorithm>
#include <cstring>

#include "backends/onednn/implementation.h"
#include "backends/onednn/primitive.h"
#include "resnet/base/half.h"

namespace resnet::onednn {
namespace {

// Elements of one step along an axis of a tensor's storage, seen as (outer, axis, inner).
AxisView storage_view(const Shape& shape, const Layout& layout, int axis) {
  AxisView view(shape, axis);
  if (layout.kind != Layout::Kind::blocked) return view;
  const int a = shape.canonical_axis(axis);
  const int64_t blocks = (shape[1] + layout.tag - 1) / layout.tag;
  if (a == 0) view.inner = blocks * layout.tag * shape.count_from(2);
  if (a == 1) view.axis = blocks;
  if (a > 1) view.outer = shape[0] * blocks * shape.count(2, a);
  if (a >= 1) view.inner *= layout.tag;
  return view;
}

// Blocked layouts only where the channels of all `activations` fill their blocks.
Layout share_full_blocks(Implementation& implementation, const std::vector<Slot>& activations) {
  const OpDesc before = implementation.desc;
  const Layout layout = share_layout(implementation, activations);
  const bool full = std::all_of(activations.begin(), activations.end(), [&](Slot slot) {
    return layout.is_plain() || tensor(before, slot).shape[1] % layout.tag == 0;
  });
  if (full) return layout;
  implementation.refusal.clear();
  implementation.desc = before;
  share_plain_layout(implementation, activations);
  return Layout::nchw();
}

// Copies `rows` rows of `bytes` between arrays with row strides in bytes, in parallel.
void copy_rows(std::byte* dst, int64_t dst_stride, const std::byte* src, int64_t src_stride,
               int64_t rows, int64_t bytes) {
  constexpr int64_t kGrainBytes = 65536;
  parallel_for(rows, std::max<int64_t>(1, kGrainBytes / std::max<int64_t>(bytes, 1)),
               [=](int64_t begin, int64_t end) {
                 for (int64_t r = begin; r < end; ++r) {
                   std::memcpy(dst + r * dst_stride, src + r * src_stride,
                               static_cast<size_t>(bytes));
                 }
               });
}

// One direction of IdentityShortcut on planes of W channels: pixels of the large plane at multiples
// of the stride correspond to those of the small one.
struct ShortcutView {
  int64_t images, stride, large_blocks, small_blocks, height, width, small_height, small_width;

  ShortcutView(const IdentityShortcut& op, const Shape& src, const Shape& dst, int block)
      : images(src[0]),
        stride(op.stride),
        large_blocks((src[1] + block - 1) / block),
        small_blocks((dst[1] + block - 1) / block),
        height(src[2]),
        width(src[3]),
        small_height(dst[2]),
        small_width(dst[3]) {}
};

template <int W, class T>
void add_or_copy(T* dst, const T* src, bool accumulate) {
  for (int lane = 0; lane < W; ++lane) {
    dst[lane] = from_float<T>(to_float(src[lane]) + (accumulate ? to_float(dst[lane]) : 0.0f));
  }
}

template <int W, class T>
void shortcut_forward(const ShortcutView& v, const T* src, T* dst, bool accumulate) {
  const int64_t src_plane = v.height * v.width * W, dst_plane = v.small_height * v.small_width * W;
  parallel_for(v.images * v.small_blocks, 4, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / v.small_blocks, block = i % v.small_blocks;
      T* to = dst + i * dst_plane;
      if (block >= v.large_blocks) {
        if (!accumulate) std::fill_n(to, dst_plane, T{});
        continue;
      }
      const T* from = src + (image * v.large_blocks + block) * src_plane;
      for (int64_t y = 0; y < v.small_height; ++y) {
        for (int64_t x = 0; x < v.small_width; ++x, to += W) {
          add_or_copy<W>(to, from + (y * v.width + x) * v.stride * W, accumulate);
        }
      }
    }
  });
}

template <int W, class T>
void shortcut_backward(const ShortcutView& v, const T* diff_dst, T* diff_src, bool accumulate) {
  const int64_t src_plane = v.height * v.width * W, dst_plane = v.small_height * v.small_width * W;
  parallel_for(v.images * v.large_blocks, 4, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t image = i / v.large_blocks, block = i % v.large_blocks;
      T* to = diff_src + i * src_plane;
      const T* from = diff_dst + (image * v.small_blocks + block) * dst_plane;
      if (!accumulate) std::fill_n(to, src_plane, T{});
      for (int64_t y = 0; y < v.small_height; ++y) {
        for (int64_t x = 0; x < v.small_width; ++x, from += W) {
          add_or_copy<W>(to + (y * v.width + x) * v.stride * W, from, accumulate);
        }
      }
    }
  });
}

template <int W, class T>
Run shortcut_run(const ShortcutView& view, bool forward, bool accumulate) {
  return [=](const KernelArgs& args) {
    const auto run = forward ? shortcut_forward<W, T> : shortcut_backward<W, T>;
    run(view, args.in[0].as<T>(), args.out[0].as<T>(), accumulate);
  };
}

}  // namespace

Implementation implement(const Reshape&, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc, {{0, 0}}, {}};
  share_plain_layout(result, {in_slot(0), out_slot(0)});
  const int64_t bytes = desc.in[0].count() * size_of(desc.in[0].dtype);
  result.make = [bytes] {
    return own_kernel("copy", 0, [bytes](const KernelArgs& args) {
      parallel_copy(args.out[0].data, args.in[0].data, bytes);
    });
  };
  return result;
}

Implementation implement(const Reorder&, const OpDesc& desc, Layouts& layouts) {
  Implementation result{"", desc};
  for (auto* tensors : {&result.desc.in, &result.desc.out}) {
    if (tensors->front().layout.kind == Layout::Kind::any) {
      tensors->front().layout = Layout::nchw();
    }
  }
  const TensorDesc &in = result.desc.in[0], &out = result.desc.out[0];
  MemoryDesc src = layouts.md(in), dst = layouts.md(out);
  if (src.dims() != dst.dims()) {  // weights of grouped convolutions have five dimensions there
    if (in.layout.is_plain()) src = plain_md(dst.dims(), in.dtype);
    if (out.layout.is_plain()) dst = plain_md(src.dims(), out.dtype);
    if (src.dims() != dst.dims()) {
      return refuse(desc, "layouts " + in.layout.str() + " and " + out.layout.str() +
                              " belong to weights of different shapes");
    }
  }
  result.make = [src, dst] {
    const dnnl::reorder::primitive_desc pd(engine(), src, engine(), dst, default_attributes());
    return std::make_shared<PrimitiveKernel>(
        dnnl::reorder(pd), pd,
        std::vector<Binding>{{DNNL_ARG_FROM, src, false, 0}, {DNNL_ARG_TO, dst, true, 0}});
  };
  return result;
}

Implementation implement(const Concat& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  std::vector<Slot> activations{out_slot(0)};
  for (int i = 0; i < static_cast<int>(desc.in.size()); ++i) activations.push_back(in_slot(i));
  const Layout layout = share_full_blocks(result, activations);
  std::vector<AxisView> srcs;
  for (const TensorDesc& t : desc.in) srcs.push_back(storage_view(t.shape, layout, op.axis));
  const AxisView dst = storage_view(desc.out[0].shape, layout, op.axis);
  const DType type = desc.out[0].dtype;
  result.make = [=, size = size_of(type)] {
    return own_kernel(own_impl(layout, type), 0, [=](const KernelArgs& args) {
      std::byte* to = args.out[0].data;
      for (size_t k = 0; k < srcs.size(); ++k) {
        const int64_t bytes = srcs[k].axis * srcs[k].inner * size;
        copy_rows(to, dst.axis * dst.inner * size, args.in[k].data, bytes, dst.outer, bytes);
        to += bytes;
      }
    });
  };
  return result;
}

Implementation implement(const Slice& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  const std::vector<Slot> activations{out_slot(0), in_slot(0)};
  Layout layout = share_full_blocks(result, activations);
  const bool in_blocks = !layout.is_plain() && desc.in[0].shape.canonical_axis(op.axis) == 1;
  int64_t begin = in_blocks ? op.begin / layout.tag : op.begin;
  if (in_blocks && op.begin % layout.tag != 0) {
    result = {"", desc};
    share_plain_layout(result, activations);
    layout = Layout::nchw();
    begin = op.begin;
  }
  const AxisView src = storage_view(desc.in[0].shape, layout, op.axis);
  const AxisView dst = storage_view(desc.out[0].shape, layout, op.axis);
  const DType type = desc.out[0].dtype;
  result.make = [=, size = size_of(type)] {
    return own_kernel(own_impl(layout, type), 0, [=](const KernelArgs& args) {
      const int64_t bytes = dst.axis * dst.inner * size;
      copy_rows(args.out[0].data, bytes, args.in[0].data + begin * src.inner * size,
                src.axis * src.inner * size, dst.outer, bytes);
    });
  };
  return result;
}

Implementation implement(const IdentityShortcut& op, const OpDesc& desc, Layouts&) {
  const bool forward = desc.pass == Pass::forward;
  Implementation result{"", desc, {}, {0}};
  const Layout layout = share_full_blocks(result, {out_slot(0), in_slot(0)});
  const int block = layout.is_plain() ? 1 : layout.tag;
  const ShortcutView view(op, (forward ? desc.in : desc.out)[0].shape,
                          (forward ? desc.out : desc.in)[0].shape, block);
  const bool accumulate = desc.accumulates(0);
  result.make = [=, type = desc.out[0].dtype] {
    Run run = for_storage(type, [&]<class T>(T) {
      return block == 16  ? shortcut_run<16, T>(view, forward, accumulate)
             : block == 8 ? shortcut_run<8, T>(view, forward, accumulate)
                          : shortcut_run<1, T>(view, forward, accumulate);
    });
    return own_kernel(own_impl(layout, type), 0, std::move(run));
  };
  return result;
}

Implementation implement(const Fill& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  if (desc.out[0].layout.kind == Layout::Kind::any) {
    share_plain_layout(result, {out_slot(0)});
  } else {
    share_full_blocks(result, {out_slot(0)});  // channels that pad a block must stay 0
  }
  const int64_t n = result.desc.out[0].count();
  result.make = [n, value = static_cast<float>(op.value)] {
    return own_kernel("flat", 0, [=](const KernelArgs& args) {
      float* dst = args.out[0].as<float>();
      parallel_flat(n,
                    [=](int64_t begin, int64_t end) { std::fill(dst + begin, dst + end, value); });
    });
  };
  return result;
}

}  // namespace resnet::onednn
