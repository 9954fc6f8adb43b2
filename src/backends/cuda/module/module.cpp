// The CUDA backend as the module that make_backend("cuda") loads where there is a driver.
#include "backends/cuda/backend.h"
#include "resnet/backend/build_id.h"

extern "C" {

const char* resnet_build_id() { return resnet::kBuildId; }

// The backend of GPU `device`.
resnet::Backend* resnet_backend_v1_of(int device) {
  return resnet::make_cuda_backend(device).release();
}
resnet::Backend* resnet_backend_v1() { return resnet_backend_v1_of(0); }
}
