// Sums over pixels for BatchNorm, one launch each. Rows are added in float by each thread, everything else in
// double, always in the same order.
#include <algorithm>

#include "backends/cuda/batch_norm.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda::batch_norm {
namespace {

constexpr int kBlock = 512;
constexpr int kWarps = kBlock / kWarp;
constexpr int64_t kBlocks = 264;       // two for each multiprocessor of the largest GPUs
constexpr int64_t kRowsPerThread = 4;  // at least, before there are more blocks
constexpr int kUnroll = 4;             // rows that a thread loads at once

template <class T, int kWidth>
__device__ __forceinline__ Pack<T, kWidth> load(const T* p) {
  return *reinterpret_cast<const Pack<T, kWidth>*>(p);
}

// Calls add(packs.., element) for the rows begin, begin + step .. before end of one thread, kUnroll at a time.
// `elements` turns a row into the index of its first element.
template <int kWidth, class Load, class Add>
__device__ __forceinline__ void for_rows(int64_t begin, int64_t end, int64_t step,
                                         const Load& load_row, const Add& add) {
  int64_t row = begin;
  for (; row + (kUnroll - 1) * step < end; row += kUnroll * step) {
    decltype(load_row(row)) rows[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) rows[u] = load_row(row + u * step);
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) add(rows[u]);
  }
  for (; row < end; row += step) add(load_row(row));
}

// Sums of src and of its square. Each thread takes them of differences to its own first value, which keeps
// float exact enough, and gives them relative to the group's first value, which makes a constant channel's
// variance exactly 0.
template <class T, int kWidth_>
struct MomentTask {
  static constexpr int kWidth = kWidth_;
  const T* src;
  double eps;
  float *saved, *stats;

  __device__ void sums(const Extent& e, int64_t group, int64_t channel, int64_t begin, int64_t end,
                       int64_t step, double (&v)[2 * kWidth]) const {
    const T* const first = src + group * e.rows * e.channels + channel;
    const auto load_row = [&](int64_t row) { return load<T, kWidth>(first + row * e.channels); };
    float shift[kWidth], sum[kWidth], squares[kWidth];
    const Pack<T, kWidth> origin = load_row(begin);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      shift[j] = to_float(origin.v[j]);
      sum[j] = squares[j] = 0;
    }
    for_rows<kWidth>(begin, end, step, load_row, [&](const Pack<T, kWidth>& row) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const float d = to_float(row.v[j]) - shift[j];
        sum[j] += d;
        squares[j] += d * d;
      }
    });
    const auto n = static_cast<double>((end - begin + step - 1) / step);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {  // read one by one, which keeps registers free
      const double offset = static_cast<double>(shift[j]) - to_float(first[j]);
      v[j] = sum[j] + n * offset;
      v[kWidth + j] = squares[j] + offset * (2.0 * sum[j] + n * offset);
    }
  }

  // Takes the sums of a group; a and b go from group to group.
  __device__ void finish_group(const Extent& e, int64_t group, int64_t c, double sum,
                               double squares, double& a, double& b) const {
    const auto m = static_cast<double>(e.rows);
    const double offset = sum / m;
    double variance = squares / m - offset * offset;
    if (variance < 0) variance = 0;
    const double mean = offset + to_float(src[group * e.rows * e.channels + c]);
    saved[2 * group * e.channels + c] = static_cast<float>(mean);
    saved[(2 * group + 1) * e.channels + c] = static_cast<float>(1 / sqrt(variance + eps));
    a += mean;
    b += variance;
  }
  __device__ void finish(const Extent& e, int64_t c, double mean, double variance) const {
    const auto m = static_cast<double>(e.rows), groups = static_cast<double>(e.groups);
    stats[c] = static_cast<float>(mean / groups);
    stats[e.channels + c] = static_cast<float>(variance / groups * (m > 1 ? m / (m - 1) : 1));
  }
};

template <class T, int kWidth_>
struct GradientTask {
  static constexpr int kWidth = kWidth_;
  const T *diff_dst, *src;
  const uint8_t* mask;
  MomentSource moments;
  float *coefficients, *diff_gamma, *diff_beta;
  bool add_gamma, add_beta;

  struct Row {
    Pack<T, kWidth> diff, src;
    unsigned bits;
  };

  __device__ void sums(const Extent& e, int64_t group, int64_t channel, int64_t begin, int64_t end,
                       int64_t step, double (&v)[2 * kWidth]) const {
    const int64_t first = group * e.rows * e.channels + channel;
    const auto load_row = [&](int64_t row) {
      const int64_t i = first + row * e.channels;
      unsigned bits = ~0u;
      if (mask != nullptr) bits = static_cast<unsigned>(mask[i / 8]) >> (kWidth == 1 ? i % 8 : 0);
      return Row{load<T, kWidth>(diff_dst + i), load<T, kWidth>(src + i), bits};
    };
    float mean[kWidth], sum[kWidth], products[kWidth];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      mean[j] = moments.of(group, channel + j).mean;
      sum[j] = products[j] = 0;
    }
    for_rows<kWidth>(begin, end, step, load_row, [&](const Row& row) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) {
        const float d = (row.bits >> j & 1u) != 0 ? to_float(row.diff.v[j]) : 0.0F;
        sum[j] += d;
        products[j] += d * (to_float(row.src.v[j]) - mean[j]);
      }
    });
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      v[j] = sum[j];
      v[kWidth + j] = products[j];
    }
  }

  __device__ void finish_group(const Extent& e, int64_t group, int64_t c, double sum,
                               double products, double& a, double& b) const {
    const Moments m = moments.of(group, c);
    const double dot = (products - sum * m.mean_rest) * m.inverse_std;
    a += sum;
    b += dot;
    if (coefficients == nullptr) return;
    const auto rows = static_cast<double>(e.rows);
    coefficients[2 * group * e.channels + c] = static_cast<float>(sum / rows);
    coefficients[(2 * group + 1) * e.channels + c] = static_cast<float>(dot / rows * m.inverse_std);
  }
  __device__ void finish(const Extent&, int64_t c, double sum, double dot) const {
    if (diff_beta != nullptr) {
      diff_beta[c] = (add_beta ? diff_beta[c] : 0.0F) + static_cast<float>(sum);
    }
    if (diff_gamma != nullptr) {
      diff_gamma[c] = (add_gamma ? diff_gamma[c] : 0.0F) + static_cast<float>(dot);
    }
  }
};

// Adds v over the threads of a warp whose numbers differ in the bits kMask, kMask / 2 .. kLanes. Each step
// keeps half of the values, so that a thread ends with kCount * kLanes / kWarp of them.
template <int kCount, int kMask, int kLanes, int kSize>
__device__ __forceinline__ void add_in_warp(double (&v)[kSize], int thread) {
  if constexpr (kMask >= kLanes && kCount > 1) {
    constexpr int kHalf = kCount / 2;
    const bool upper = (thread & kMask) != 0;
#pragma unroll
    for (int j = 0; j < kHalf; ++j) {
      const double sent = upper ? v[j] : v[j + kHalf];
      const double kept = upper ? v[j + kHalf] : v[j];
      v[j] = kept + __shfl_xor_sync(0xFFFFFFFFu, sent, kMask);
    }
    add_in_warp<kHalf, kMask / 2, kLanes>(v, thread);
  }
}

// Adds partials of one tile and group: value `value` of chunks first, first + step ..
__device__ __forceinline__ double add_chunks(const volatile double* partials, int64_t chunks,
                                             int values, int value, int first, int step) {
  constexpr int kAtOnce = 8;
  double sum = 0;
  int64_t chunk = first;
  for (; chunk + (kAtOnce - 1) * step < chunks; chunk += kAtOnce * step) {
    double part[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) part[u] = partials[(chunk + u * step) * values + value];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) sum += part[u];
  }
  for (; chunk < chunks; chunk += step) sum += partials[chunk * values + value];
  return sum;
}

template <class Task, int kLanes>
__global__ void __launch_bounds__(kBlock)
    reduce(Task task, Extent extent, int64_t rows_per_chunk, double* partials, int* tickets) {
  constexpr int kWidth = Task::kWidth, kSums = 2 * kWidth, kValues = kLanes * kSums;
  constexpr int kSteps = kLanes == kWarp ? 1 : kWarp / kLanes;  // threads of a warp in one lane
  static_assert(kSums % kSteps == 0 && kBlock % kValues == 0);
  constexpr int kKept = kSums / kSteps;
  __shared__ double shared[kWarps * kValues];
  __shared__ bool last;

  const auto thread = static_cast<int>(threadIdx.x);
  const int lane = thread % kLanes;
  const int64_t tile = blockIdx.x, chunk = blockIdx.y, group = blockIdx.z;
  const int64_t chunks = gridDim.y;
  const int64_t channel = (tile * kLanes + lane) * kWidth;
  double v[kSums];
#pragma unroll
  for (int j = 0; j < kSums; ++j) v[j] = 0;
  const int64_t begin = chunk * rows_per_chunk + thread / kLanes;
  const int64_t bound = (chunk + 1) * rows_per_chunk;
  const int64_t end = bound < extent.rows ? bound : extent.rows;
  if (channel < extent.channels && begin < end) {
    task.sums(extent, group, channel, begin, end, kBlock / kLanes, v);
  }

  add_in_warp<kSums, kWarp / 2, kLanes>(v, thread);
  // The bits of a thread's number from 16 downwards chose halves: they are those of the first value it kept.
  const int kept = thread % kWarp / kLanes * kKept;
#pragma unroll
  for (int j = 0; j < kKept; ++j) {
    shared[(thread / kWarp * kLanes + lane) * kSums + kept + j] = v[j];
  }
  __syncthreads();
  double* const tile_partials = partials + tile * extent.groups * chunks * kValues;
  if (thread < kValues) {
    double sum = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) sum += shared[w * kValues + thread];
    tile_partials[(group * chunks + chunk) * kValues + thread] = sum;
    __threadfence();
  }
  __syncthreads();
  if (thread == 0) {
    const auto blocks = static_cast<int>(gridDim.y * gridDim.z);
    last = atomicAdd(&tickets[tile], 1) == blocks - 1;
    if (last) tickets[tile] = 0;
    __threadfence();
  }
  __syncthreads();
  if (!last) return;

  double a = 0, b = 0;
  const int64_t finished =
      tile * kLanes * kWidth + thread;  // the channel that this thread finishes
  const bool finishes = thread < kLanes * kWidth && finished < extent.channels;
  const int at = thread / kWidth * kSums + thread % kWidth;
  for (int64_t g = 0; g < extent.groups; ++g) {
    shared[thread] = add_chunks(tile_partials + g * chunks * kValues, chunks, kValues,
                                thread % kValues, thread / kValues, kBlock / kValues);
    __syncthreads();
    if (finishes) {
      double first = 0, second = 0;
#pragma unroll
      for (int i = 0; i < kBlock; i += kValues) {
        first += shared[i + at];
        second += shared[i + at + kWidth];
      }
      task.finish_group(extent, g, finished, first, second, a, b);
    }
    __syncthreads();
  }
  if (finishes) task.finish(extent, finished, a, b);
}

constexpr int kNarrow = 2, kWide = 4;  // lanes of tiles of octets

template <class Task, int kLanes>
void launch_reduction(cudaStream_t stream, const Reduction& r, const Task& task,
                      const Workspace& w) {
  const dim3 grid(static_cast<unsigned>(r.tiles), static_cast<unsigned>(r.chunks),
                  static_cast<unsigned>(r.extent.groups));
  launch(stream, grid, kBlock, reduce<Task, kLanes>, task, r.extent, r.rows_per_chunk, w.partials,
         w.tickets);
}

// make_task(type and width) gives the task.
template <class MakeTask>
void run(cudaStream_t stream, DType type, const Reduction& r, const Workspace& workspace,
         const MakeTask& make_task) {
  with_type(type, [&]<class T>(T*) {
    if (!r.octets) {
      const auto task = make_task.template operator()<T, 1>();
      launch_reduction<decltype(task), kWarp>(stream, r, task, workspace);
      return;
    }
    const auto task = make_task.template operator()<T, kOctet>();
    if (r.lanes == kNarrow) {
      launch_reduction<decltype(task), kNarrow>(stream, r, task, workspace);
    } else {
      launch_reduction<decltype(task), kWide>(stream, r, task, workspace);
    }
  });
}

int64_t quotient_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Reduction::Reduction(const Extent& e) : extent(e), octets(e.channels % kOctet == 0) {
  lanes = !octets ? kWarp : e.channels <= kNarrow * kOctet ? kNarrow : kWide;
  tiles = quotient_up(e.channels, static_cast<int64_t>(lanes) * (octets ? kOctet : 1));
  const int64_t rows_at_once = kBlock / lanes;
  const int64_t most = quotient_up(e.rows, rows_at_once * kRowsPerThread);
  const int64_t wanted = std::clamp<int64_t>(kBlocks / (tiles * e.groups), 1, most);
  rows_per_chunk = quotient_up(quotient_up(e.rows, wanted), rows_at_once) * rows_at_once;
  chunks = quotient_up(e.rows, rows_per_chunk);
}

void reduce_moments(cudaStream_t stream, DType type, const Reduction& reduction,
                    const MomentSums& s, const Workspace& workspace) {
  run(stream, type, reduction, workspace, [&]<class T, int kWidth>() {
    return MomentTask<T, kWidth>{reinterpret_cast<const T*>(s.src), s.eps, s.saved, s.stats};
  });
}

void reduce_gradients(cudaStream_t stream, DType type, const Reduction& reduction,
                      const GradientSums& s, const Workspace& workspace) {
  run(stream, type, reduction, workspace, [&]<class T, int kWidth>() {
    return GradientTask<T, kWidth>{reinterpret_cast<const T*>(s.diff_dst),
                                   reinterpret_cast<const T*>(s.src),
                                   s.mask,
                                   s.moments,
                                   s.coefficients,
                                   s.diff_gamma,
                                   s.diff_beta,
                                   s.add_gamma,
                                   s.add_beta};
  });
}

}  // namespace resnet::cuda::batch_norm
