#include "backends/onednn/primitive.h"

#include <oneapi/dnnl/dnnl_debug.h>
#include <unordered_map>
#include <utility>

#include "resnet/base/error.h"

namespace resnet::onednn {
namespace {

dnnl::stream& thread_stream() {
  thread_local dnnl::stream stream(engine());
  return stream;
}

}  // namespace

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::primitive_attr default_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

PrimitiveKernel::PrimitiveKernel(dnnl::primitive primitive, const dnnl::primitive_desc_base& desc,
                                 std::vector<Binding> bindings)
    : primitive_(std::move(primitive)),
      impl_(desc.impl_info_str()),
      scratchpad_(desc.scratchpad_desc()),
      bindings_(std::move(bindings)) {}

void PrimitiveKernel::run(const KernelArgs& args) const {
  try {
    std::unordered_map<int, dnnl::memory> memories;
    memories.reserve(bindings_.size() + 1);
    for (const Binding& b : bindings_) {
      const Tensor& tensor = b.is_output ? args.out[b.index] : args.in[b.index];
      memories.emplace(b.argument, dnnl::memory(b.md, engine(), tensor.data));
    }
    if (scratch_bytes() > 0) {
      memories.emplace(DNNL_ARG_SCRATCHPAD, dnnl::memory(scratchpad_, engine(), args.scratch));
    }
    primitive_.execute(thread_stream(), memories);
    thread_stream().wait();
  } catch (const dnnl::error& e) {
    throw DeviceError(error_text(impl_, e));
  }
}

std::string error_text(const std::string& what, const dnnl::error& error) {
  return "onednn: " + what + ": " + error.what() + " (" +
         dnnl_status2str(static_cast<dnnl_status_t>(error.status)) + ")";
}

}  // namespace resnet::onednn
