// What kernels use of CUDA, on the host: qualifiers, indices, barriers, warp operations, atomics.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "cuda_emulation.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local  // a block runs on one thread of the host

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

extern constinit thread_local uint3 threadIdx, blockIdx;
extern constinit thread_local dim3 blockDim, gridDim;

// --- Device functions. A lane that a mask names has to take part or to have ended. -----------------

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  cuda_emulation::wait_for_block({file, line});
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  cuda_emulation::vote({file, line}, mask, false);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return cuda_emulation::vote({file, line}, mask, predicate != 0);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, const char* file = __builtin_FILE(),
              int line = __builtin_LINE()) {
  const int segment = cuda_emulation::lane() / width * width;
  return cuda_emulation::exchange({file, line}, mask, value, segment + (lane & (width - 1)));
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const int self = cuda_emulation::lane(), other = self ^ lane_mask;
  const bool inside = other < (self / width + 1) * width;
  return cuda_emulation::exchange({file, line}, mask, value, inside ? other : self);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const int self = cuda_emulation::lane(), other = self + static_cast<int>(delta);
  const bool inside = other < (self / width + 1) * width;
  return cuda_emulation::exchange({file, line}, mask, value, inside ? other : self);
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline void __threadfence() {}
template <class T>
T __ldg(const T* address) {
  return *address;
}

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  const T old = *address;  // blocks run one after the other
  *address = old + value;
  return old;
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>);
  const T old = *address;
  *address = old < value ? value : old;
  return old;
}
