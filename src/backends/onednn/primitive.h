// A oneDNN primitive as a Kernel.
#pragma once

#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "backends/onednn/layouts.h"
#include "resnet/backend/backend.h"

namespace resnet::onednn {

const dnnl::engine& engine();  // the CPU, one per process

// Attributes that every primitive of this backend has: scratch memory comes from the caller.
dnnl::primitive_attr default_attributes();

// Ties an argument of a primitive (DNNL_ARG_*) to input or output `index` of a step.
struct Binding {
  int argument;
  MemoryDesc md;
  bool is_output;
  size_t index;
};

// Immutable: a run builds its memory objects on the spot, so several threads may run it at once.
class PrimitiveKernel : public Kernel {
 public:
  PrimitiveKernel(dnnl::primitive primitive, const dnnl::primitive_desc_base& desc,
                  std::vector<Binding> bindings);

  std::string impl() const override { return impl_; }
  int64_t scratch_bytes() const override { return static_cast<int64_t>(scratchpad_.get_size()); }
  void run(const KernelArgs& args) const override;  // throws DeviceError

 private:
  dnnl::primitive primitive_;
  std::string impl_;
  MemoryDesc scratchpad_;
  std::vector<Binding> bindings_;
};

// "onednn: <what>: <library's message> (<status>)".
std::string error_text(const std::string& what, const dnnl::error& error);

}  // namespace resnet::onednn
