#include "backends/cuda/backend.h"

#include <variant>

#include "backends/cuda/implementation.h"
#include "backends/cuda/libraries.h"
#include "backends/cuda/nvtx.h"
#include "backends/cuda/recording.h"
#include "backends/cuda/status.h"
#include "resnet/backend/dispatch.h"
#include "resnet/base/error.h"

namespace resnet {
namespace cuda {
namespace {

// Why the operands are none that this backend computes with, or "".
std::string refuse_operands(const OpDesc& desc) {
  if (std::string reason = refuse_signature(desc); !reason.empty()) return reason;
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (t.layout.kind == Layout::Kind::blocked || t.layout.kind == Layout::Kind::opaque) {
        return "layout " + t.layout.str() + "; cuda knows nchw and nhwc";
      }
    }
  }
  return "";
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(int device) : device_(std::make_shared<Device>(device)) {}

  std::string name() const override { return "cuda"; }
  std::string description() const override { return device_->description(); }
  MemoryKind memory() const override { return MemoryKind::device; }
  void configure(const BackendOptions& options) override { device_->configure(options); }

  Support supports(const OpDesc& desc) const override {
    Implementation found = implement_any(desc);
    if (!found.refusal.empty()) return {false, found.refusal, {}};
    return {true, "", std::move(found.in_place)};
  }

  OpDesc resolve(const OpDesc& desc) const override {
    Implementation found = implement_any(desc);
    if (!found.refusal.empty()) throw refusal(desc, found.refusal);
    return std::move(found.desc);
  }

  std::shared_ptr<const Kernel> compile(const OpDesc& desc) override {
    const Implementation found = implement_any(desc);
    if (!found.refusal.empty()) throw refusal(desc, found.refusal);
    if (found.desc != desc) throw refusal(desc, "needs layouts as in " + found.desc.str());
    device_->select();
    try {
      return described(desc, found.make(*device_));
    } catch (const OutOfMemory&) {
      throw;
    } catch (const DeviceError& e) {
      throw DeviceError(desc.str() + ": " + e.what());
    }
  }

  int64_t bytes(const TensorDesc& desc) const override { return desc.bytes(); }
  Buffer allocate(int64_t bytes) override { return device_->allocate(bytes); }
  Buffer allocate_staging(int64_t bytes) override { return device_->allocate_pinned(bytes); }
  int64_t free_bytes() const override { return device_->free_bytes(); }
  int64_t upload_bytes(int64_t bytes) const override { return Uploads::kept_bytes(bytes); }

  void copy(const Tensor& dst, const Tensor& src) override {
    if (src.desc != dst.desc) {
      throw InternalError("copy from " + src.desc.str() + " to " + dst.desc.str());
    }
    const auto size = static_cast<size_t>(bytes(src.desc));
    if (size == 0) return;
    check(cudaMemcpyAsync(dst.data, src.data, size, cudaMemcpyDefault, device_->stream()),
          "copying " + src.desc.str());
  }

  std::unique_ptr<Mark> upload(const Tensor& dst, const Tensor& src) override {
    if (src.desc != dst.desc) {
      throw InternalError("upload from " + src.desc.str() + " to " + dst.desc.str());
    }
    return uploads_.upload(*device_, dst.data, src.data, bytes(src.desc));
  }

  void synchronize() override { device_->synchronize(); }
  std::unique_ptr<Mark> mark() override { return make_mark(device_->stream()); }
  std::unique_ptr<Recording> record(const std::function<void()>& enqueue) override {
    return make_recording(*device_, enqueue);
  }

 private:
  static DeviceError refusal(const OpDesc& desc, const std::string& reason) {
    return DeviceError("cuda cannot compute " + desc.str() + ": " + reason);
  }

  // The kernel, keeping the device alive and naming itself when it fails.
  KernelPtr described(const OpDesc& desc, KernelPtr kernel) const;

  Implementation implement_any(const OpDesc& desc) const {
    return recent_.get(desc, [this](const OpDesc& d) { return find(d); });
  }

  Implementation find(const OpDesc& desc) const {
    if (std::string reason = refuse_operands(desc); !reason.empty()) return refuse(desc, reason);
    Implementation found = std::visit([&](const auto& op) { return implement(op, desc); }, desc.op);
    if (std::string reason = refuse_accumulation(desc, found.accumulable); !reason.empty()) {
      return refuse(desc, reason);
    }
    drop_accumulating(desc, found.in_place);
    return found;
  }

  std::shared_ptr<Device> device_;
  Uploads uploads_;
  mutable RecentAnswers<Implementation> recent_;
};

class DescribedKernel final : public Kernel {
 public:
  DescribedKernel(std::shared_ptr<const Device> device, std::string desc, KernelPtr kernel)
      : device_(std::move(device)), desc_(std::move(desc)), kernel_(std::move(kernel)) {}
  std::string impl() const override { return kernel_->impl(); }
  int64_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void run(const KernelArgs& args) const override {
    device_->select();
    const Range range(desc_.c_str());
    try {
      kernel_->run(args);
    } catch (const OutOfMemory&) {
      throw;
    } catch (const DeviceError& e) {
      throw DeviceError(desc_ + ": " + e.what());
    }
  }

 private:
  std::shared_ptr<const Device> device_;
  std::string desc_;
  KernelPtr kernel_;
};

KernelPtr CudaBackend::described(const OpDesc& desc, KernelPtr kernel) const {
  return std::make_shared<DescribedKernel>(device_, desc.str(), std::move(kernel));
}

}  // namespace
}  // namespace cuda

std::unique_ptr<Backend> make_cuda_backend(int device) {
  return std::make_unique<cuda::CudaBackend>(device);
}

}  // namespace resnet
