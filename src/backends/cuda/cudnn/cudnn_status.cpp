#include "backends/cuda/cudnn/cudnn_status.h"

#include <array>

#include "resnet/base/error.h"

namespace resnet::cuda {

std::string reason_of(cudnnStatus_t status) {
  std::array<char, 512> text{};
  cudnnGetLastErrorString(text.data(), text.size());
  std::string reason = cudnnGetErrorString(status);
  if (text[0] != '\0') reason += std::string(" (") + text.data() + ")";
  return reason;
}

void check(cudnnStatus_t status, const std::string& what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw DeviceError("cuDNN: " + what + ": " + reason_of(status));
}

}  // namespace resnet::cuda
