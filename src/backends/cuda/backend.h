// The backend for NVIDIA GPUs: own kernels, convolutions by cuDNN, products by cuBLAS.
#pragma once

#include <memory>

#include "resnet/backend/backend.h"

namespace resnet {

// The backend of one GPU. Throws DeviceError: no driver, no such device, a device or library too old.
std::unique_ptr<Backend> make_cuda_backend(int device);

}  // namespace resnet
