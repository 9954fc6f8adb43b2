// Launching kernels. A kernel's file needs nothing else of CUDA's host interface.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "backends/cuda/status.h"
#include "resnet/base/half.h"
#include "resnet/tensor/tensor.h"

namespace resnet::cuda {

constexpr int kWarp = 32;
constexpr int64_t kMostRowsOfGrid = 65535;  // blocks in the dimensions y and z of a grid

// kernel<<<grid, block, 0, stream>>>(args...); nothing for an empty grid.
template <class... Parameters, class... Args>
void launch(cudaStream_t stream, dim3 grid, dim3 block, void (*kernel)(Parameters...),
            Args&&... args) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, std::forward<Args>(args)...), "launching a kernel");
}

// Threads for a kernel that gives each thread one piece of work at most, and blocks for n pieces.
constexpr int kThreads = 256;
inline unsigned blocks_for(int64_t n, int threads = kThreads) {
  return static_cast<unsigned>((n + threads - 1) / threads);
}
// The index of the piece of work of this thread, in such a kernel.
#define RESNET_THREAD_INDEX (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x)

// N consecutive elements that are loaded and stored at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};

// Calls f with a null pointer to the C++ type of a real type: f32, bf16 or f16.
template <class F>
auto with_type(DType type, const F& f) {
  switch (type) {
    case DType::bf16:
      return f(static_cast<bf16*>(nullptr));
    case DType::f16:
      return f(static_cast<f16*>(nullptr));
    default:
      return f(static_cast<float*>(nullptr));
  }
}

}  // namespace resnet::cuda
