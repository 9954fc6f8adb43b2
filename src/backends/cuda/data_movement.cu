// Reshape, Concat, Slice, IdentityShortcut and Fill.
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"

namespace resnet::cuda {
namespace {

// to = from, or to += from, N elements at once.
template <class T, int N>
__device__ void move_pack(const T* from, bool accumulate, T* to) {
  auto pack = *reinterpret_cast<const Pack<T, N>*>(from);
  auto* at = reinterpret_cast<Pack<T, N>*>(to);
  if (accumulate) {
    const Pack<T, N> before = *at;
    for (int e = 0; e < N; ++e) {
      pack.v[e] = from_float<T>(to_float(before.v[e]) + to_float(pack.v[e]));
    }
  }
  *at = pack;
}

// Calls f with a constant N: 16 bytes of elements if all of `counts` are multiples of that, else 1.
template <class T, class F>
void with_width(std::initializer_list<int64_t> counts, const F& f) {
  const bool wide =
      std::all_of(counts.begin(), counts.end(), [](int64_t n) { return n % kPackOf<T> == 0; });
  wide ? f(std::integral_constant<int, kPackOf<T>>()) : f(std::integral_constant<int, 1>());
}

// Rows of `length` elements, `src_pitch` and `dst_pitch` elements apart.
struct Rows {
  int64_t rows, length, src_pitch, dst_pitch;
};

template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    copy_rows(const T* src, Rows r, bool accumulate, T* dst) {
  const Quotient place(RESNET_THREAD_INDEX, r.length / N);
  if (place.quotient >= r.rows) return;
  const int64_t at = place.remainder * N;
  move_pack<T, N>(src + place.quotient * r.src_pitch + at, accumulate,
                  dst + place.quotient * r.dst_pitch + at);
}

template <class T>
void copy(cudaStream_t stream, const Rows& r, const T* src, int64_t src_offset, bool accumulate,
          T* dst, int64_t dst_offset) {
  with_width<T>({r.length, r.src_pitch, r.dst_pitch, src_offset, dst_offset},
                [&]<int N>(std::integral_constant<int, N>) {
                  launch(stream, blocks_for(r.rows * (r.length / N)), kThreads, copy_rows<T, N>,
                         src + src_offset, r, accumulate, dst + dst_offset);
                });
}

// A tensor in memory as (outer, axis, inner), where `axis` is one logical dimension.
struct Axis {
  int64_t outer, axis, inner;
  Axis(const Shape& shape, int axis_, const Layout& layout) : axis(shape[axis_]) {
    outer = shape.count(0, axis_);
    inner = shape.count_from(axis_ + 1);
    if (layout.kind != Layout::Kind::nhwc || shape.rank() < 3 || axis_ == 0) return;
    // Channels are innermost.
    outer = axis_ == 1 ? shape[0] * shape.count_from(2) : outer / shape[1];
    inner = axis_ == 1 ? 1 : inner * shape[1];
  }
};

std::vector<Slot> all_slots(const OpDesc& desc) {
  std::vector<Slot> slots;
  for (size_t i = 0; i < desc.in.size(); ++i) slots.push_back(in_slot(static_cast<int>(i)));
  for (size_t i = 0; i < desc.out.size(); ++i) slots.push_back(out_slot(static_cast<int>(i)));
  return slots;
}

// The geometry of a shortcut; channels of src and dst, extents of images.
struct Shortcut {
  int64_t stride, src_c, src_h, src_w, dst_c, dst_h, dst_w;
};

// dst (N, h, w, c) = src at (y stride, x stride), zero in further channels.
template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    shortcut_forward(const T* src, Shortcut s, int64_t count, bool accumulate, T* dst) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i * N >= count) return;
  const Quotient pixel(i, s.dst_c / N), row(pixel.quotient, s.dst_w), image(row.quotient, s.dst_h);
  const int64_t c = pixel.remainder * N;
  if (c < s.src_c) {
    const int64_t y = image.remainder * s.stride, x = row.remainder * s.stride;
    const int64_t from = ((image.quotient * s.src_h + y) * s.src_w + x) * s.src_c + c;
    move_pack<T, N>(src + from, accumulate, dst + i * N);
  } else if (!accumulate) {
    Pack<T, N> zero;
    for (int e = 0; e < N; ++e) zero.v[e] = from_float<T>(0.0F);
    reinterpret_cast<Pack<T, N>*>(dst)[i] = zero;
  }
}

// diff_src: the gradient where a pixel was taken, else zero.
template <class T, int N>
__global__ void __launch_bounds__(kThreads)
    shortcut_backward(const T* diff_dst, Shortcut s, int64_t count, bool accumulate, T* diff_src) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i * N >= count) return;
  const Quotient pixel(i, s.src_c / N), row(pixel.quotient, s.src_w), image(row.quotient, s.src_h);
  const Quotient y(image.remainder, s.stride), x(row.remainder, s.stride);
  if (y.remainder == 0 && x.remainder == 0) {
    const int64_t from =
        ((image.quotient * s.dst_h + y.quotient) * s.dst_w + x.quotient) * s.dst_c +
        pixel.remainder * N;
    move_pack<T, N>(diff_dst + from, accumulate, diff_src + i * N);
  } else if (!accumulate) {
    Pack<T, N> zero;
    for (int e = 0; e < N; ++e) zero.v[e] = from_float<T>(0.0F);
    reinterpret_cast<Pack<T, N>*>(diff_src)[i] = zero;
  }
}

__global__ void __launch_bounds__(kThreads)
    fill(float value, int64_t count, bool accumulate, float* dst) {
  const auto piece = this_piece<float>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<float>];
  for (float& v : x) v = value;
  piece.store(dst, x, accumulate);
}

}  // namespace

Implementation implement(const Reshape&, const OpDesc& desc) {
  Implementation result{.refusal = "", .desc = desc};
  use_plain(result);
  result.in_place = {{0, 0}};
  if (is_real(desc.in[0].dtype)) result.accumulable = {0};
  result.make = [type = desc.in[0].dtype, count = desc.in[0].count(),
                 bytes = static_cast<size_t>(result.desc.in[0].bytes()),
                 add = desc.accumulates(0)](const Device& device) {
    return own_kernel("copy", 0, [=, stream = device.stream()](const KernelArgs& args) {
      if (add) {
        with_type(type, [&]<class T>(T*) {
          map(stream, Identity{}, args.in[0].as<const T>(), true, count, args.out[0].as<T>());
        });
      } else if (args.in[0].data != args.out[0].data && bytes > 0) {
        check(cudaMemcpyAsync(args.out[0].data, args.in[0].data, bytes, cudaMemcpyDeviceToDevice,
                              stream),
              "copying");
      }
    });
  };
  return result;
}

Implementation implement(const Concat& op, const OpDesc& desc) {
  Implementation result{.refusal = "", .desc = desc};
  for (const TensorDesc& t : desc.in) {
    if (result.refusal.empty()) result.refusal = refuse_unless_real("src", t);
    if (t.dtype != desc.in[0].dtype) result.refusal = "inputs of different types";
  }
  if (!result.refusal.empty()) return result;
  use_same_layout(result, all_slots(desc));
  result.accumulable = {0};
  result.make = [op, desc = result.desc](const Device& device) {
    return own_kernel("own", 0, [op, desc, stream = device.stream()](const KernelArgs& args) {
      const int at = desc.out[0].shape.canonical_axis(op.axis);
      const Layout& layout = desc.out[0].layout;
      const Axis dst(desc.out[0].shape, at, layout);
      int64_t offset = 0;
      for (size_t i = 0; i < args.in.size(); ++i) {
        const Axis src(desc.in[i].shape, at, layout);
        const int64_t length = src.axis * src.inner;
        with_type(desc.out[0].dtype, [&]<class T>(T*) {
          copy<T>(stream, {src.outer, length, length, dst.axis * dst.inner}, args.in[i].as<T>(), 0,
                  desc.accumulates(0), args.out[0].as<T>(), offset);
        });
        offset += length;
      }
    });
  };
  return result;
}

Implementation implement(const Slice& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_same_layout(result, all_slots(desc));
  result.accumulable = {0};
  const Shape& shape = desc.in[0].shape;
  const Axis src(shape, shape.canonical_axis(op.axis), result.desc.in[0].layout);
  const Rows rows{src.outer, op.size * src.inner, src.axis * src.inner, op.size * src.inner};
  result.make = [=, type = desc.in[0].dtype, begin = op.begin * src.inner,
                 add = desc.accumulates(0)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        copy<T>(stream, rows, args.in[0].as<T>(), begin, add, args.out[0].as<T>(), 0);
      });
    });
  };
  return result;
}

Implementation implement(const IdentityShortcut& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_nhwc(result, {in_slot(0), out_slot(0)});
  result.accumulable = {0};
  const bool forward = desc.pass == Pass::forward;
  const Shape& src = (forward ? desc.in : desc.out)[0].shape;
  const Shape& dst = (forward ? desc.out : desc.in)[0].shape;
  const Shortcut s{op.stride, src[1], src[2], src[3], dst[1], dst[2], dst[3]};
  result.make = [=, type = desc.in[0].dtype, count = desc.out[0].count(),
                 add = desc.accumulates(0)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        with_width<T>({s.src_c, s.dst_c}, [&]<int N>(std::integral_constant<int, N>) {
          const auto kernel = forward ? shortcut_forward<T, N> : shortcut_backward<T, N>;
          launch(stream, blocks_for(count / N), kThreads, kernel, args.in[0].as<T>(), s, count, add,
                 args.out[0].as<T>());
        });
      });
    });
  };
  return result;
}

Implementation implement(const Fill& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_f32("dst", desc.out[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_same_layout(result, {out_slot(0)});
  result.accumulable = {0};
  result.make = [value = static_cast<float>(op.value), count = desc.out[0].count(),
                 add = desc.accumulates(0)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      launch(stream, blocks_for_pieces<float>(count), kThreads, fill, value, count, add,
             args.out[0].as<float>());
    });
  };
  return result;
}

}  // namespace resnet::cuda
