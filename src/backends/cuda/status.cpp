#include "backends/cuda/status.h"

#include "resnet/base/error.h"

namespace resnet::cuda {

void check(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is not sticky is forgotten
  if (status == cudaErrorMemoryAllocation) {
    size_t free = 0, total = 0;
    std::string fact = what + " failed on the GPU";
    if (cudaMemGetInfo(&free, &total) == cudaSuccess) {
      fact += ", which has " + std::to_string(free >> 20) + " of " + std::to_string(total >> 20) +
              " MiB free";
    }
    throw OutOfMemory(fact, "use a smaller batch_size with a larger iter_size");
  }
  throw DeviceError("cuda: " + what + ": " + cudaGetErrorName(status) + ": " +
                    cudaGetErrorString(status));
}

}  // namespace resnet::cuda
