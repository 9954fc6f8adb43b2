// Sums over the threads of a warp, a block and, by the block that ends last, a whole launch: always in the same
// order.
#pragma once

#include <memory>

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {

constexpr unsigned kMostBlocks = 264;  // two for each multiprocessor of the largest GPUs
constexpr unsigned kAll = 0xFFFFFFFFu;

// Sums and maxima over kLanes threads that are neighbours in a warp.
template <int kLanes, class V>
__device__ __forceinline__ V add_lanes(V value) {
#pragma unroll
  for (int mask = kLanes / 2; mask > 0; mask /= 2) value += __shfl_xor_sync(kAll, value, mask);
  return value;
}
template <int kLanes>
__device__ __forceinline__ float max_lanes(float value) {
#pragma unroll
  for (int mask = kLanes / 2; mask > 0; mask /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAll, value, mask));
  }
  return value;
}

// Adds v over the threads of a block, in a fixed order; thread 0 has the sum.
template <class V>
__device__ V add_block(V value) {
  __shared__ V sums[kThreads / kWarp];
  value = add_lanes<kWarp>(value);
  __syncthreads();  // sums may still be read
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = value;
  __syncthreads();
  V sum = 0;
  for (int w = 0; w < kThreads / kWarp; ++w) sum += sums[w];
  return sum;
}

// Whether this block is the last one of the launch to come here; `ticket` is zero before and after. What
// thread 0 of the others wrote before can be read after.
__device__ inline bool is_last_block(int* ticket) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(ticket, 1) == static_cast<int>(gridDim.x) - 1;
    if (last) *ticket = 0;
    __threadfence();
  }
  __syncthreads();
  return last;
}

// A zeroed counter, which the last block of each launch zeroes again: launches follow each other on one stream.
inline std::shared_ptr<const Buffer> make_ticket(const Device& device) {
  return std::make_shared<const Buffer>(device.allocate(sizeof(int)));
}
inline int* ticket_of(const std::shared_ptr<const Buffer>& buffer) {
  return reinterpret_cast<int*>(buffer->data());
}

}  // namespace resnet::cuda
