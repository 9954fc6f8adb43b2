// Kernels that give each thread 16 bytes of consecutive elements of every tensor, and movers of matrices.
#pragma once

#include "backends/cuda/launch.h"

namespace resnet::cuda {

// Elements of 16 bytes.
template <class T>
constexpr int kPackOf = 16 / static_cast<int>(sizeof(T));

// A thread's elements begin .. begin + kPackOf<T> of a tensor of `count` elements, fewer at its end.
template <class T>
struct Piece {
  static constexpr int kSize = kPackOf<T>;
  int64_t begin, count;
  __host__ __device__ bool full() const { return begin + kSize <= count; }

  __device__ void load(const T* from, float (&to)[kSize]) const {
    if (full()) {
      const auto pack = *reinterpret_cast<const Pack<T, kSize>*>(from + begin);
      for (int e = 0; e < kSize; ++e) to[e] = to_float(pack.v[e]);
    } else {
      for (int e = 0; e < kSize; ++e) to[e] = begin + e < count ? to_float(from[begin + e]) : 0.0F;
    }
  }
  // to = values, or to += values.
  __device__ void store(T* to, const float (&values)[kSize], bool accumulate) const {
    if (full()) {
      auto* at = reinterpret_cast<Pack<T, kSize>*>(to + begin);
      Pack<T, kSize> pack;
      if (accumulate) pack = *at;
      for (int e = 0; e < kSize; ++e) {
        pack.v[e] = from_float<T>(accumulate ? to_float(pack.v[e]) + values[e] : values[e]);
      }
      *at = pack;
    } else {
      for (int e = 0; e < kSize; ++e) {
        if (begin + e >= count) return;
        T& at = to[begin + e];
        at = from_float<T>(accumulate ? to_float(at) + values[e] : values[e]);
      }
    }
  }
};

// Threads that an elementwise kernel needs.
template <class T>
int64_t pieces(int64_t count) {
  return (count + kPackOf<T> - 1) / kPackOf<T>;
}
template <class T>
unsigned blocks_for_pieces(int64_t count) {
  return blocks_for(pieces<T>(count));
}
template <class T>
__device__ Piece<T> this_piece(int64_t count) {
  return {RESNET_THREAD_INDEX * kPackOf<T>, count};
}

// Quotient and remainder, in 32 bits where possible: 64-bit division is slow on a GPU.
struct Quotient {
  int64_t quotient, remainder;
  __device__ Quotient(int64_t n, int64_t d) {
    if (n >> 32 == 0 && d >> 32 == 0) {
      const auto small = static_cast<uint32_t>(n), by = static_cast<uint32_t>(d);
      quotient = small / by;
      remainder = small % by;
    } else {
      quotient = n / d;
      remainder = n % d;
    }
  }
};

// dst = f(a) or dst += f(a), f on float.
template <class T, class F>
__global__ void __launch_bounds__(kThreads)
    map_kernel(F f, const T* a, bool accumulate, int64_t count, T* dst) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<T>], y[kPackOf<T>];
  piece.load(a, x);
  for (int e = 0; e < kPackOf<T>; ++e) y[e] = f(x[e]);
  piece.store(dst, y, accumulate);
}
template <class T, class F>
void map(cudaStream_t stream, const F& f, const T* a, bool accumulate, int64_t count, T* dst) {
  void (*kernel)(F, const T*, bool, int64_t, T*) = map_kernel<T, F>;
  launch(stream, blocks_for_pieces<T>(count), kThreads, kernel, f, a, accumulate, count, dst);
}

// dst = f(a, b) or dst += f(a, b).
template <class T, class F>
__global__ void __launch_bounds__(kThreads)
    map_kernel(F f, const T* a, const T* b, bool accumulate, int64_t count, T* dst) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<T>], y[kPackOf<T>], z[kPackOf<T>];
  piece.load(a, x);
  piece.load(b, y);
  for (int e = 0; e < kPackOf<T>; ++e) z[e] = f(x[e], y[e]);
  piece.store(dst, z, accumulate);
}
template <class T, class F>
void map(cudaStream_t stream, const F& f, const T* a, const T* b, bool accumulate, int64_t count,
         T* dst) {
  void (*kernel)(F, const T*, const T*, bool, int64_t, T*) = map_kernel<T, F>;
  launch(stream, blocks_for_pieces<T>(count), kThreads, kernel, f, a, b, accumulate, count, dst);
}

struct Identity {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace resnet::cuda
