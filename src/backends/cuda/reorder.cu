// Reorder: between row-major and channels innermost, and between f32, bf16 and f16.
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"

namespace resnet::cuda {
namespace {

constexpr int kConverted = 4;  // elements of a thread, of two types
constexpr int kTile = 32, kTileRows = 8;
constexpr int64_t kFewChannels = 8;

template <class From, class To>
__device__ void put(From value, bool accumulate, To& to) {
  const float x = to_float(value);
  to = from_float<To>(accumulate ? to_float(to) + x : x);
}

template <class From, class To>
__global__ void __launch_bounds__(kThreads)
    convert(const From* src, int64_t count, bool accumulate, To* dst) {
  const int64_t begin = RESNET_THREAD_INDEX * kConverted;
  if (begin + kConverted <= count) {
    const auto from = *reinterpret_cast<const Pack<From, kConverted>*>(src + begin);
    auto* at = reinterpret_cast<Pack<To, kConverted>*>(dst + begin);
    Pack<To, kConverted> to;
    if (accumulate) to = *at;
    for (int e = 0; e < kConverted; ++e) put(from.v[e], accumulate, to.v[e]);
    *at = to;
  } else {
    for (int64_t i = begin; i < count; ++i) put(src[i], accumulate, dst[i]);
  }
}

// Matrices (rows, columns) behind each other become (columns, rows); a block moves one tile.
template <class From, class To>
__global__ void __launch_bounds__(kTile* kTileRows)
    transpose(const From* src, int64_t rows, int64_t columns, int64_t tiles_of_columns,
              int64_t tiles, bool accumulate, To* dst) {
  __shared__ float tile[kTile][kTile + 1];  // a column lies in different banks
  const Quotient matrix(blockIdx.x, tiles), place(matrix.remainder, tiles_of_columns);
  const int64_t row = place.quotient * kTile, column = place.remainder * kTile;
  const int64_t first = matrix.quotient * rows * columns;
  for (int i = static_cast<int>(threadIdx.y); i < kTile; i += kTileRows) {
    const int64_t r = row + i, c = column + threadIdx.x;
    if (r < rows && c < columns) tile[i][threadIdx.x] = to_float(src[first + r * columns + c]);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.y); i < kTile; i += kTileRows) {
    const int64_t r = row + threadIdx.x, c = column + i;
    if (r < rows && c < columns) put(tile[threadIdx.x][i], accumulate, dst[first + c * rows + r]);
  }
}

// The same for few channels: a thread moves one pixel.
template <class From, class To>
__global__ void __launch_bounds__(kThreads)
    move_pixels(const From* src, int64_t pixels, int64_t channels, int64_t per_image, bool to_nhwc,
                bool accumulate, To* dst) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= pixels) return;
  const Quotient image(i, per_image);
  const int64_t plain = image.quotient * channels * per_image + image.remainder;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t in_planes = plain + c * per_image, in_pixels = i * channels + c;
    put(src[to_nhwc ? in_planes : in_pixels], accumulate, dst[to_nhwc ? in_pixels : in_planes]);
  }
}

enum class Way { same, to_nhwc, to_nchw };

Way way_of(const TensorDesc& src, const TensorDesc& dst) {
  const Pixels pixels(src.shape);
  if (src.layout == dst.layout || pixels.channels == 1 || pixels.per_image == 1) return Way::same;
  return dst.layout.kind == Layout::Kind::nhwc ? Way::to_nhwc : Way::to_nchw;
}

template <class From, class To>
void run(cudaStream_t stream, Way way, const Pixels& p, bool add, const From* src, To* dst) {
  if (way == Way::same) {
    launch(stream, blocks_for((p.count() + kConverted - 1) / kConverted), kThreads,
           convert<From, To>, src, p.count(), add, dst);
  } else if (p.channels <= kFewChannels) {
    launch(stream, blocks_for(p.rows()), kThreads, move_pixels<From, To>, src, p.rows(), p.channels,
           p.per_image, way == Way::to_nhwc, add, dst);
  } else {
    const int64_t rows = way == Way::to_nhwc ? p.channels : p.per_image;
    const int64_t columns = way == Way::to_nhwc ? p.per_image : p.channels;
    const int64_t across = blocks_for(columns, kTile), tiles = across * blocks_for(rows, kTile);
    launch(stream, static_cast<unsigned>(p.images * tiles), dim3(kTile, kTileRows),
           transpose<From, To>, src, rows, columns, across, tiles, add, dst);
  }
}

// Of two layouts of which one or none is known, the other one is the same.
void choose_layouts(OpDesc& desc) {
  Layout &from = desc.in[0].layout, &to = desc.out[0].layout;
  const Layout preferred = preferred_layout(desc.in[0].shape);
  if (from.kind == Layout::Kind::any) from = to.kind == Layout::Kind::any ? preferred : to;
  if (to.kind == Layout::Kind::any) to = from;
}

}  // namespace

Implementation implement(const Reorder&, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (result.refusal.empty()) result.refusal = refuse_unless_real("dst", desc.out[0]);
  if (!result.refusal.empty()) return result;
  choose_layouts(result.desc);
  const TensorDesc &src = result.desc.in[0], &dst = result.desc.out[0];
  const Way way = way_of(src, dst);
  const Pixels pixels(src.shape);
  result.accumulable = {0};
  const bool add = desc.accumulates(0), copies = way == Way::same && src.dtype == dst.dtype && !add;
  if (copies) result.in_place = {{0, 0}};
  result.make = [=, from = src.dtype, to = dst.dtype,
                 bytes = static_cast<size_t>(src.bytes())](const Device& device) {
    return own_kernel(
        copies ? "copy" : "own", 0, [=, stream = device.stream()](const KernelArgs& args) {
          const Tensor &in = args.in[0], &out = args.out[0];
          if (!copies) {
            with_type(from, [&]<class From>(From*) {
              with_type(to, [&]<class To>(To*) {
                run(stream, way, pixels, add, in.as<const From>(), out.as<To>());
              });
            });
          } else if (in.data != out.data && bytes > 0) {
            check(cudaMemcpyAsync(out.data, in.data, bytes, cudaMemcpyDeviceToDevice, stream),
                  "copying");
          }
        });
  };
  return result;
}

}  // namespace resnet::cuda
