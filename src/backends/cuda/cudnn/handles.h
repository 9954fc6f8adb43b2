// The handles of cuDNN and cuBLAS, bound to the stream of a device.
#pragma once

#include <cublas_v2.h>

#include <memory>
#include <string>

#include "backends/cuda/cudnn/cudnn_status.h"
#include "backends/cuda/cudnn/engines.h"
#include "backends/cuda/device.h"
#include "backends/cuda/libraries.h"
#include "resnet/backend/choices.h"

namespace resnet::cuda {

// Throws DeviceError "cuBLAS: <what>: <status and the library's text>" unless status is success.
void check(cublasStatus_t status, const std::string& what);

class CudnnLibraries final : public Libraries {
 public:
  explicit CudnnLibraries(const Device& device);  // throws DeviceError
  ~CudnnLibraries() override;
  CudnnLibraries(const CudnnLibraries&) = delete;
  CudnnLibraries& operator=(const CudnnLibraries&) = delete;
  static CudnnLibraries& of(const Device& device) {
    return static_cast<CudnnLibraries&>(device.libraries());
  }

  std::string description() const override;
  void configure(const BackendOptions& options) override;

  cudnnHandle_t cudnn() const { return cudnn_; }
  cublasHandle_t cublas() const { return cublas_; }
  const DeviceFacts& facts() const { return facts_; }
  // What tuning found.
  Choices& choices() { return *choices_; }

 private:
  std::string device_name_;
  cudnnHandle_t cudnn_ = nullptr;
  cublasHandle_t cublas_ = nullptr;
  Buffer workspace_;  // of cuBLAS: its own would not do in captures
  DeviceFacts facts_;
  std::unique_ptr<Choices> choices_;
};

}  // namespace resnet::cuda
