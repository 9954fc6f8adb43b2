// Failures of the CUDA runtime as DeviceError.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace resnet::cuda {

// Throws DeviceError "cuda: <what>: <name of the status>: <its text>" unless status is cudaSuccess;
// OutOfMemory for cudaErrorMemoryAllocation.
void check(cudaError_t status, const std::string& what);

// What a wait waits for: an error may be that of any op before.
constexpr const char* kEarlierWork =
    "work that was enqueued earlier (with CUDA_LAUNCH_BLOCKING=1 in the environment the op is "
    "named)";

}  // namespace resnet::cuda
