// What cuDNN and cuBLAS compute for this backend, behind an interface without their types: tests put
// plain loops in their place (tests/cuda_emulation), so that everything else runs without a GPU.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <memory>
#include <string>

#include "resnet/backend/backend.h"
#include "resnet/ops/op.h"

namespace resnet::cuda {

class Device;

class Libraries {
 public:
  virtual ~Libraries() = default;
  virtual std::string description() const = 0;  // "cuDNN 9.19.0, cuBLAS 13.1"
  // Follows Device::configure().
  virtual void configure(const BackendOptions& /*options*/) {}
};
// Throws DeviceError when a library is missing or too old.
std::unique_ptr<Libraries> make_libraries(const Device& device);

// One pass of a convolution (no bias, sum or relu). Immutable; run() enqueues on the device's stream.
// Pointers: forward src, weights -> dst; backward_data diff_dst, weights -> diff_src; backward_weights
// src, diff_dst -> diff_weights. All tensors nhwc; those of one pass have one type (f32, bf16, f16), but
// diff_weights is always f32. Sums are kept in f32; with f32 tensors products too unless TF32 is allowed.
// diff_weights of 16-bit tensors are rounded to their type once (cuDNN has no engine that writes f32).
class ConvolutionPlan {
 public:
  virtual ~ConvolutionPlan() = default;
  // "cudnn:<engine>", the engine by cuDNN's number and its knobs: "cudnn:eng3_k2=1". Behind a comma what
  // else happens: "accumulate" (by the engine), "convert" and "add" (by a kernel of ours).
  virtual std::string impl() const = 0;
  virtual int64_t scratch_bytes() const = 0;
  // out = conv(a, b), or out += conv(a, b) where the plan was made with accumulate.
  virtual void run(const void* a, const void* b, void* out, std::byte* scratch) const = 0;
};
// "" or why there is none.
std::string refuse_convolution(const OpDesc& desc);
// Must not be refused. Throws DeviceError when the library has no engine that the options allow.
std::shared_ptr<const ConvolutionPlan> plan_convolution(const Device& device, const OpDesc& desc);

// C (m,n) = alpha op(A) op(B) + beta C in f32, row-major; op(A) is (m,k): A is (m,k), or (k,m) if
// transposed; likewise B.
void gemm(const Device& device, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c);

}  // namespace resnet::cuda
