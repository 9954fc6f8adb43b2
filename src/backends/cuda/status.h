// Failures of the CUDA runtime as DeviceError.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace resnet::cuda {

// Throws DeviceError "cuda: <what>: <name of the status>: <its text>" unless status is cudaSuccess;
// OutOfMemory for cudaErrorMemoryAllocation.
void check(cudaError_t status, const std::string& what);

}  // namespace resnet::cuda
