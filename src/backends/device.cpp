#include "resnet/backends/device.h"

#include <glog/logging.h>

#include "resnet/base/error.h"

namespace resnet {

std::shared_ptr<Backend> open_device(const std::string& device) {
  if (device != "auto") return make_backend(device);
  if (cuda_obstacle().empty()) {
    try {
      return make_backend("cuda");
    } catch (const DeviceError& e) {
      LOG(WARNING) << "device auto: " << e.what() << "; the CPU computes";
    }
  }
  return make_backend("cpu");
}

std::optional<DType> math_type(const std::string& math) {
  if (math == "FLOAT32") return DType::f32;
  if (math == "BFLOAT16") return DType::bf16;
  if (math == "FLOAT16") return DType::f16;
  return std::nullopt;
}

std::string math_obstacle(DType math, const Backend& backend) {
  if (math == DType::f32) return "";
  const TensorDesc values{.shape = {1, 1, 1, 1}, .dtype = math, .layout = Layout::any()};
  const Support support =
      backend.supports({.op = Relu{}, .in = {values}, .out = {values}, .accumulate = {}});
  return support.ok ? "" : support.reason;
}

}  // namespace resnet
