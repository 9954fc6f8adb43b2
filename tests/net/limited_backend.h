// The reference backend with little memory, or with ops that fail.
#pragma once

#include <cstdlib>
#include <memory>

#include "resnet/backend/backend.h"
#include "resnet/base/error.h"

namespace resnet::testing {

// One at a time: allocations are counted for all of them.
class LimitedBackend final : public Backend {
 public:
  explicit LimitedBackend(int64_t limit) : limit_(limit) { used_ = peak_ = 0; }
  static int64_t peak() { return peak_; }  // bytes held at most since the last one was made

  std::string fails_to_compile, fails_to_run;  // names of ops

  std::string name() const override { return "limited"; }
  std::string description() const override { return "limited"; }
  Support supports(const OpDesc& desc) const override { return reference_->supports(desc); }
  OpDesc resolve(const OpDesc& desc) const override { return reference_->resolve(desc); }
  std::shared_ptr<const Kernel> compile(const OpDesc& desc) override {
    if (name_of(desc.op) == fails_to_compile) throw DeviceError(desc.str() + ": cannot compile");
    return std::make_shared<LimitedKernel>(reference_->compile(desc), desc,
                                           name_of(desc.op) == fails_to_run);
  }
  int64_t bytes(const TensorDesc& desc) const override { return reference_->bytes(desc); }
  int64_t free_bytes() const override { return limit_ - used_; }
  void copy(const Tensor& dst, const Tensor& src) override { reference_->copy(dst, src); }
  Buffer allocate(int64_t bytes) override {
    if (bytes == 0) return {};
    if (bytes > free_bytes()) throw OutOfMemory(std::to_string(bytes) + " bytes", "no advice");
    used_ += bytes;
    peak_ = std::max(peak_, used_);
    return {static_cast<std::byte*>(std::calloc(1, static_cast<size_t>(bytes))), bytes,
            MemoryKind::host, [](std::byte* data, int64_t size) {
              std::free(data);
              used_ -= size;
            }};
  }

 private:
  // Asks for scratch memory, which `reference` does without.
  class LimitedKernel final : public Kernel {
   public:
    LimitedKernel(std::shared_ptr<const Kernel> kernel, const OpDesc& desc, bool fails)
        : kernel_(std::move(kernel)),
          bytes_(desc.in.empty() ? 0 : desc.in[0].bytes() / 2),
          desc_(desc.str()),
          fails_(fails) {}
    std::string impl() const override { return kernel_->impl(); }
    int64_t scratch_bytes() const override { return bytes_; }
    void run(const KernelArgs& args) const override {
      if (fails_) throw DeviceError(desc_ + ": cannot run");
      kernel_->run(args);
    }

   private:
    std::shared_ptr<const Kernel> kernel_;
    int64_t bytes_;
    std::string desc_;
    bool fails_;
  };

  static inline int64_t used_ = 0, peak_ = 0;
  int64_t limit_;
  std::unique_ptr<Backend> reference_ = make_backend("reference");
};

}  // namespace resnet::testing
