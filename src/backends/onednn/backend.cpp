#include "backends/onednn/backend.h"

#include "backends/onednn/algorithms.h"
#include "backends/onednn/implementation.h"
#include "backends/onednn/primitive.h"
#include "resnet/backend/dispatch.h"
#include "resnet/base/error.h"

namespace resnet {
namespace onednn {
namespace {

// Ops whose activations may be bf16.
bool computes_bf16(const Op& op) {
  return std::holds_alternative<Convolution>(op) || std::holds_alternative<BatchNorm>(op) ||
         std::holds_alternative<Scale>(op) || std::holds_alternative<Relu>(op) ||
         std::holds_alternative<Eltwise>(op) || std::holds_alternative<Pooling>(op) ||
         std::holds_alternative<Dropout>(op) || std::holds_alternative<Concat>(op) ||
         std::holds_alternative<Slice>(op) || std::holds_alternative<Reshape>(op) ||
         std::holds_alternative<IdentityShortcut>(op) || std::holds_alternative<Reorder>(op);
}

// Why the operands are none that this backend computes with, or "".
std::string refuse_operands(const OpDesc& desc) {
  if (std::string reason = refuse_signature(desc); !reason.empty()) return reason;
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (t.dtype == DType::f16) return "type f16; onednn computes in f32 and bf16";
      if (t.dtype != DType::bf16) continue;
      if (!bf16_refusal().empty()) return bf16_refusal();
      if (!computes_bf16(desc.op)) return "type bf16; onednn computes this op in f32 only";
    }
  }
  // Where f64 is no gradient check: clocks, learning rates, saved statistics, states of training.
  if (std::holds_alternative<PrepareUpdate>(desc.op)) return "";
  if (std::holds_alternative<RecordBatch>(desc.op) ||
      std::holds_alternative<SquaredNorm>(desc.op)) {
    return desc.in[0].dtype == DType::f32 ? "" : "type f64; onednn computes in f32 only";
  }
  const auto f64 = [](const TensorDesc& t) { return t.dtype == DType::f64; };
  const std::vector<TensorDesc>& leading = desc.out.empty() ? desc.in : desc.out;
  if (f64(leading[0]) || (!desc.in.empty() && f64(desc.in[0]))) {
    return "type f64; onednn computes in f32 only, reference knows f64";
  }
  return "";
}

class OnednnBackend final : public Backend {
 public:
  OnednnBackend() {
    vector_kernels();  // rejects a bad RESNET_MAX_CPU_ISA now
    // Who plans shares kernels and drops them; the library would keep the last 1024.
    dnnl::set_primitive_cache_capacity(0);
  }

  std::string name() const override { return "onednn"; }
  std::string description() const override {
    return isa_description() + ", " + std::to_string(num_threads()) + " threads";
  }

  void configure(const BackendOptions& options) override {
    algorithms_.configure(options);
    recent_.clear();  // for other options
  }

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
    try {
      return found.make();
    } catch (const dnnl::error& e) {
      throw DeviceError(error_text(desc.str(), e));
    }
  }

  int64_t bytes(const TensorDesc& desc) const override { return layouts_.bytes(desc); }
  Buffer allocate(int64_t bytes) override { return host_buffer(bytes); }
  void copy(const Tensor& dst, const Tensor& src) override {
    if (src.desc != dst.desc) {
      throw InternalError("copy from " + src.desc.str() + " to " + dst.desc.str());
    }
    parallel_copy(dst.data, src.data, bytes(src.desc));
  }

 private:
  static DeviceError refusal(const OpDesc& desc, const std::string& reason) {
    return DeviceError("onednn cannot compute " + desc.str() + ": " + reason);
  }

  Implementation implement_any(const OpDesc& desc) const {
    return recent_.get(desc, [this](const OpDesc& d) { return find(d); });
  }

  Implementation find(const OpDesc& desc) const {
    if (std::string reason = refuse_operands(desc); !reason.empty()) return refuse(desc, reason);
    try {
      Implementation found = std::visit(
          [&](const auto& op) {
            if constexpr (std::is_same_v<decltype(op), const Convolution&>) {
              return implement(op, desc, layouts_, algorithms_);
            } else {
              return implement(op, desc, layouts_);
            }
          },
          desc.op);
      if (std::string reason = refuse_accumulation(desc, found.accumulable); !reason.empty()) {
        return refuse(desc, reason);
      }
      drop_accumulating(desc, found.in_place);
      return found;
    } catch (const dnnl::error& e) {
      return refuse(desc, std::string(e.what()) + " (oneDNN)");
    }
  }

  mutable Layouts layouts_;        // grows as layouts are met
  mutable Algorithms algorithms_;  // learns
  mutable RecentAnswers<Implementation> recent_;
};

}  // namespace
}  // namespace onednn

std::unique_ptr<Backend> make_onednn_backend() { return std::make_unique<onednn::OnednnBackend>(); }

}  // namespace resnet
