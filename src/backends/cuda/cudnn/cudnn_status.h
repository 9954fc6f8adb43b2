// Failures of cuDNN as DeviceError.
#pragma once

#include <cudnn.h>

#include <string>

namespace resnet::cuda {

// Name of a status, with the library's own text for what went wrong last in this thread.
std::string reason_of(cudnnStatus_t status);
// Throws DeviceError "cuDNN: <what>: <reason>" unless status is success.
void check(cudnnStatus_t status, const std::string& what);

}  // namespace resnet::cuda
