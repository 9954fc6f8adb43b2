// Pooling. Threads have a few channels of one pixel of what they write: of dst forward, of src backward, where
// they gather from the windows over the pixel.
#include <cmath>

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

struct Windows {
  int kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w;
  int src_h, src_w, dst_h, dst_w;
  int64_t images, channels;
};

// The part [begin, end) of a window inside [0, extent); `divisor` also counts padding.
struct Window {
  int start, begin, end, divisor;
  __device__ __forceinline__ Window(int position, int kernel, int stride, int pad, int extent)
      : start(position * stride - pad),
        begin(start < 0 ? 0 : start),
        end(start + kernel < extent ? start + kernel : extent),
        divisor((start + kernel < extent + pad ? start + kernel : extent + pad) - start) {}
};
__device__ __forceinline__ Window rows_of(const Windows& w, int y) {
  return {y, w.kernel_h, w.stride_h, w.pad_h, w.src_h};
}
__device__ __forceinline__ Window columns_of(const Windows& w, int x) {
  return {x, w.kernel_w, w.stride_w, w.pad_w, w.src_w};
}

// A thread's pixel and first channel in an image of the given extents.
struct Place {
  int64_t image, channel;
  int y, x;
  __device__ __forceinline__ Place(int64_t thread, int64_t channel_packs, int width, int height,
                                   int pack) {
    const int64_t pixel = thread / channel_packs;
    channel = (thread - pixel * channel_packs) * pack;
    const int64_t line = pixel / width;
    x = static_cast<int>(pixel - line * width);
    image = line / height;
    y = static_cast<int>(line - image * height);
  }
};

template <class T, int V>
__device__ __forceinline__ Pack<T, V> load(const T* p) {
  return *reinterpret_cast<const Pack<T, V>*>(p);
}

// index: position in the window of the maximum; may be null.
template <class T, int V, class Index>
__global__ void max_forward(Windows w, const T* src, T* dst, Index* index, int64_t threads) {
  const int64_t thread = RESNET_THREAD_INDEX;
  if (thread >= threads) return;
  const Place at(thread, w.channels / V, w.dst_w, w.dst_h, V);
  const Window rows = rows_of(w, at.y), columns = columns_of(w, at.x);
  float best[V];
  int found[V];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    best[j] = -INFINITY;
    found[j] = (rows.begin - rows.start) * w.kernel_w + columns.begin - columns.start;
  }
  for (int y = rows.begin; y < rows.end; ++y) {
    const T* const line = src + ((at.image * w.src_h + y) * w.src_w) * w.channels + at.channel;
    for (int x = columns.begin; x < columns.end; ++x) {
      const Pack<T, V> pack = load<T, V>(line + x * w.channels);
      const int tap = (y - rows.start) * w.kernel_w + x - columns.start;
#pragma unroll
      for (int j = 0; j < V; ++j) {
        const float value = to_float(pack.v[j]);
        if (value <= best[j] || best[j] != best[j]) continue;  // the first maximum, or a NaN
        best[j] = value;
        found[j] = tap;
      }
    }
  }
  Pack<T, V> out;
  Pack<Index, V> taps;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    out.v[j] = from_float<T>(best[j]);
    taps.v[j] = static_cast<Index>(found[j]);
  }
  reinterpret_cast<Pack<T, V>*>(dst)[thread] = out;
  if (index != nullptr) reinterpret_cast<Pack<Index, V>*>(index)[thread] = taps;
}

template <class T, int V>
__global__ void average_forward(Windows w, const T* src, T* dst, int64_t threads) {
  const int64_t thread = RESNET_THREAD_INDEX;
  if (thread >= threads) return;
  const Place at(thread, w.channels / V, w.dst_w, w.dst_h, V);
  const Window rows = rows_of(w, at.y), columns = columns_of(w, at.x);
  float sum[V] = {};
  for (int y = rows.begin; y < rows.end; ++y) {
    const T* const line = src + ((at.image * w.src_h + y) * w.src_w) * w.channels + at.channel;
    for (int x = columns.begin; x < columns.end; ++x) {
      const Pack<T, V> pack = load<T, V>(line + x * w.channels);
#pragma unroll
      for (int j = 0; j < V; ++j) sum[j] += to_float(pack.v[j]);
    }
  }
  const auto divisor = static_cast<float>(static_cast<int64_t>(rows.divisor) * columns.divisor);
  Pack<T, V> out;
#pragma unroll
  for (int j = 0; j < V; ++j) out.v[j] = from_float<T>(sum[j] / divisor);
  reinterpret_cast<Pack<T, V>*>(dst)[thread] = out;
}

// The average of whole images. A block has one image (blockIdx.y) and kLanes packs of channels, its threads
// the pixels in turn.
template <class T, int V, int kLanes>
__global__ void __launch_bounds__(kThreads)
    average_images(const T* src, T* dst, int64_t channels, int pixels) {
  constexpr int kRows = kThreads / kLanes, kTile = kLanes * V;
  __shared__ float sums[kRows * kTile];
  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kLanes, row = thread / kLanes;
  const int64_t tile = static_cast<int64_t>(blockIdx.x) * kTile, image = blockIdx.y;
  float sum[V] = {};
  if (tile + lane * V < channels) {
    const T* const first = src + image * pixels * channels + tile + lane * V;
    for (int p = row; p < pixels; p += kRows) {
      const Pack<T, V> pack = load<T, V>(first + p * channels);
#pragma unroll
      for (int j = 0; j < V; ++j) sum[j] += to_float(pack.v[j]);
    }
  }
#pragma unroll
  for (int j = 0; j < V; ++j) sums[row * kTile + lane * V + j] = sum[j];
  __syncthreads();
  if (thread >= kTile || tile + thread >= channels) return;
  float total = 0;
#pragma unroll
  for (int r = 0; r < kRows; ++r) total += sums[r * kTile + thread];
  dst[image * channels + tile + thread] = from_float<T>(total / static_cast<float>(pixels));
}

// The windows [begin, end) of a dimension that cover position `at`.
struct Covering {
  int begin, end;
  __device__ __forceinline__ Covering(int at, int kernel, int stride, int pad, int count) {
    const int from = at + pad - kernel;  // the last start that is too early
    begin = from < 0 ? 0 : from / stride + 1;
    end = (at + pad) / stride + 1;
    if (end > count) end = count;
  }
};

// kMax: index holds the positions of the maxima; otherwise it is unused.
template <class T, int V, class Index, bool kMax>
__global__ void gather_backward(Windows w, const T* diff_dst, const Index* index, T* diff_src,
                                bool add, int64_t threads) {
  const int64_t thread = RESNET_THREAD_INDEX;
  if (thread >= threads) return;
  const Place at(thread, w.channels / V, w.src_w, w.src_h, V);
  const Covering rows(at.y, w.kernel_h, w.stride_h, w.pad_h, w.dst_h);
  const Covering columns(at.x, w.kernel_w, w.stride_w, w.pad_w, w.dst_w);
  float sum[V] = {};
  for (int y = rows.begin; y < rows.end; ++y) {
    const Window window_rows = rows_of(w, y);
    for (int x = columns.begin; x < columns.end; ++x) {
      const Window window_columns = columns_of(w, x);
      const int64_t i = ((at.image * w.dst_h + y) * w.dst_w + x) * w.channels + at.channel;
      const Pack<T, V> diff = load<T, V>(diff_dst + i);
      if constexpr (kMax) {
        const Pack<Index, V> taps = load<Index, V>(index + i);
        const int tap = (at.y - window_rows.start) * w.kernel_w + at.x - window_columns.start;
#pragma unroll
        for (int j = 0; j < V; ++j) {
          if (static_cast<int>(taps.v[j]) == tap) sum[j] += to_float(diff.v[j]);
        }
      } else {
        const auto divisor =
            static_cast<float>(static_cast<int64_t>(window_rows.divisor) * window_columns.divisor);
#pragma unroll
        for (int j = 0; j < V; ++j) sum[j] += to_float(diff.v[j]) / divisor;
      }
    }
  }
  Pack<T, V>* const out = reinterpret_cast<Pack<T, V>*>(diff_src) + thread;
  Pack<T, V> values;
  if (add) values = *out;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    values.v[j] = from_float<T>(add ? to_float(values.v[j]) + sum[j] : sum[j]);
  }
  *out = values;
}

Windows windows_of(const Pooling& op, const Shape& src, const Shape& dst) {
  const auto dim = [](int64_t n) { return static_cast<int>(n); };
  return {dim(op.kernel[0]),
          dim(op.kernel[1]),
          dim(op.stride[0]),
          dim(op.stride[1]),
          dim(op.pad[0]),
          dim(op.pad[1]),
          dim(src[2]),
          dim(src[3]),
          dim(dst[2]),
          dim(dst[3]),
          src[0],
          src[1]};
}

// Calls f with a null pointer to the element type and the number of channels of a thread.
template <class F>
void with_pack(DType type, int64_t channels, const F& f) {
  with_type(type, [&]<class T>(T*) {
    constexpr int kPack = 16 / static_cast<int>(sizeof(T));
    if (channels % kPack == 0) {
      f.template operator()<T, kPack>();
    } else {
      f.template operator()<T, 1>();
    }
  });
}

void run_average(cudaStream_t stream, const Pooling& op, const Windows& w, DType type,
                 const KernelArgs& args) {
  const bool whole = w.dst_h == 1 && w.dst_w == 1 && op.pad == Pair{0, 0} &&
                     w.kernel_h >= w.src_h && w.kernel_w >= w.src_w;
  with_pack(type, w.channels, [&]<class T, int V>() {
    const T* const src = args.in[0].as<T>();
    T* const dst = args.out[0].as<T>();
    if (whole) {
      constexpr int kLanes = V == 1 ? kWarp : 8;
      const dim3 grid(blocks_for(w.channels, kLanes * V), static_cast<unsigned>(w.images));
      launch(stream, grid, kThreads, average_images<T, V, kLanes>, src, dst, w.channels,
             w.src_h * w.src_w);
      return;
    }
    const int64_t threads = w.images * w.dst_h * w.dst_w * (w.channels / V);
    launch(stream, blocks_for(threads), kThreads, average_forward<T, V>, w, src, dst, threads);
  });
}

void run_max(cudaStream_t stream, const Windows& w, DType type, DType index_type,
             const KernelArgs& args) {
  with_pack(type, w.channels, [&]<class T, int V>() {
    const int64_t threads = w.images * w.dst_h * w.dst_w * (w.channels / V);
    const auto run = [&]<class Index>(Index*) {
      Index* const index = args.out.size() > 1 ? args.out[1].as<Index>() : nullptr;
      launch(stream, blocks_for(threads), kThreads, max_forward<T, V, Index>, w, args.in[0].as<T>(),
             args.out[0].as<T>(), index, threads);
    };
    if (index_type == DType::i32) {
      run(static_cast<int32_t*>(nullptr));
    } else {
      run(static_cast<uint8_t*>(nullptr));
    }
  });
}

void run_backward(cudaStream_t stream, const Windows& w, DType type, const OpDesc& desc,
                  const KernelArgs& args) {
  const bool add = desc.accumulates(0);
  with_pack(type, w.channels, [&]<class T, int V>() {
    const int64_t threads = w.images * w.src_h * w.src_w * (w.channels / V);
    const T* const diff_dst = args.in[0].as<T>();
    T* const diff_src = args.out[0].as<T>();
    const auto run = [&]<class Index, bool kMax>() {
      const Index* const index = kMax ? args.in[1].as<Index>() : nullptr;
      launch(stream, blocks_for(threads), kThreads, gather_backward<T, V, Index, kMax>, w, diff_dst,
             index, diff_src, add, threads);
    };
    if (desc.in.size() == 1) {
      run.template operator()<uint8_t, false>();
    } else if (desc.in[1].dtype == DType::i32) {
      run.template operator()<int32_t, true>();
    } else {
      run.template operator()<uint8_t, true>();
    }
  });
}

}  // namespace

Implementation implement(const Pooling& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  const bool backward = desc.pass == Pass::backward;
  std::vector<Slot> images{in_slot(0), out_slot(0)};
  if (op.has_index) images.push_back(backward ? in_slot(1) : out_slot(1));
  use_nhwc(result, images);
  if (!result.refusal.empty()) return result;
  const Shape &src = (backward ? desc.out : desc.in)[0].shape,
              &dst = (backward ? desc.in : desc.out)[0].shape;
  // Whole images at once have a grid of that many rows.
  if (src[0] > kMostRowsOfGrid) return refuse(desc, "more than 65535 images");
  if (backward) result.accumulable = {0};
  result.make = [op, desc = result.desc, w = windows_of(op, src, dst)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      const DType type = desc.in[0].dtype;
      if (desc.pass == Pass::backward) {
        run_backward(stream, w, type, desc, args);
      } else if (op.kind == Pooling::Kind::average) {
        run_average(stream, op, w, type, args);
      } else {
        run_max(stream, w, type, op.has_index ? desc.out[1].dtype : DType::u8, args);
      }
    });
  };
  return result;
}

}  // namespace resnet::cuda
