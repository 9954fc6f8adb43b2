// One GPU: its properties, the stream that all work goes to, memory.
#pragma once

#include <cuda_runtime.h>

#include <memory>
#include <string>

#include "resnet/backend/backend.h"
#include "resnet/tensor/tensor.h"

namespace resnet::cuda {

class Libraries;  // handles of cuDNN and cuBLAS; libraries.h

class Device {
 public:
  explicit Device(int index);  // throws DeviceError
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  int index() const { return index_; }
  const std::string& name() const { return name_; }
  int compute_capability() const { return compute_capability_; }  // 90 for 9.0
  int multiprocessors() const { return multiprocessors_; }
  int64_t memory_bytes() const { return memory_bytes_; }
  std::string description() const;

  // How implementations are chosen from now on.
  void configure(const BackendOptions& options);
  const BackendOptions& options() const { return options_; }

  // Makes this the calling thread's device.
  void select() const;
  cudaStream_t stream() const { return stream_; }  // of all work
  cudaStream_t copies() const { return copies_; }  // of uploads
  Libraries& libraries() const { return *libraries_; }

  Buffer allocate(int64_t bytes) const;  // zeroed, in stream order
  Buffer allocate_pinned(int64_t bytes) const;
  int64_t free_bytes() const;
  void synchronize() const;

 private:
  int index_;
  std::string name_;
  int compute_capability_ = 0, multiprocessors_ = 0;
  int64_t memory_bytes_ = 0;
  cudaStream_t stream_ = nullptr, copies_ = nullptr;
  BackendOptions options_;
  std::unique_ptr<Libraries> libraries_;
};

}  // namespace resnet::cuda
