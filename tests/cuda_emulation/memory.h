// The memory of the emulated GPU.
#pragma once

#include <cuda_runtime.h>

namespace cuda_emulation {

bool is_strict();  // RESNET_EMULATED_CUDA_STRICT is set to something other than 0

// Device memory can be touched while one exists.
class MemoryAccess {
 public:
  MemoryAccess();
  ~MemoryAccess();
  MemoryAccess(const MemoryAccess&) = delete;
  MemoryAccess& operator=(const MemoryAccess&) = delete;
};

// As cudaMalloc and cudaFree.
cudaError_t allocate(void** address, size_t bytes);
cudaError_t release(void* address);
size_t memory_bytes();  // of the GPU
size_t used_bytes();

// False if the range begins in device memory and leaves its allocation.
bool range_is_valid(const void* address, size_t bytes);
bool is_on_device(const void* address);

}  // namespace cuda_emulation
