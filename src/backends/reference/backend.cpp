#include "backends/reference/backend.h"

#include <cstring>

#include "backends/reference/kernels.h"
#include "resnet/backend/dispatch.h"
#include "resnet/base/error.h"
#include "resnet/base/half.h"

namespace resnet {
namespace reference {

double load(DType type, const std::byte* data, int64_t i) {
  switch (type) {
    case DType::f32:
      return reinterpret_cast<const float*>(data)[i];
    case DType::f64:
      return reinterpret_cast<const double*>(data)[i];
    case DType::i32:
      return reinterpret_cast<const int32_t*>(data)[i];
    case DType::u8:
      return reinterpret_cast<const uint8_t*>(data)[i];
    case DType::bf16:
      return to_float(reinterpret_cast<const bf16*>(data)[i]);
    case DType::f16:
      return to_float(reinterpret_cast<const f16*>(data)[i]);
  }
  throw InternalError("unknown type");
}

void store(DType type, std::byte* data, int64_t i, double value) {
  switch (type) {
    case DType::f32:
      reinterpret_cast<float*>(data)[i] = static_cast<float>(value);
      return;
    case DType::f64:
      reinterpret_cast<double*>(data)[i] = value;
      return;
    case DType::i32:
      reinterpret_cast<int32_t*>(data)[i] = static_cast<int32_t>(value);
      return;
    case DType::u8:
      reinterpret_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value);
      return;
    case DType::bf16:
      reinterpret_cast<bf16*>(data)[i] = from_float<bf16>(static_cast<float>(value));
      return;
    case DType::f16:
      reinterpret_cast<f16*>(data)[i] = from_float<f16>(static_cast<float>(value));
      return;
  }
  throw InternalError("unknown type");
}

In::In(const Tensor& t) : values_(static_cast<size_t>(t.desc.count())) {
  for (size_t i = 0; i < values_.size(); ++i) {
    values_[i] = load(t.desc.dtype, t.data, static_cast<int64_t>(i));
  }
}

double rounded(DType type, double value) {
  switch (type) {
    case DType::f32:
      return static_cast<float>(value);
    case DType::bf16:
      return to_float(from_float<bf16>(static_cast<float>(value)));
    case DType::f16:
      return to_float(from_float<f16>(static_cast<float>(value)));
    default:
      return value;
  }
}

void set_bit(const Tensor& mask, int64_t i, bool value) {
  uint8_t& byte = mask.as<uint8_t>()[i / 8];
  const auto bit = static_cast<uint8_t>(1u << (i % 8));
  byte = static_cast<uint8_t>(value ? byte | bit : byte & ~bit);
}

bool get_bit(const Tensor& mask, int64_t i) { return (mask.as<uint8_t>()[i / 8] >> (i % 8)) & 1; }

namespace {

std::string refuse_tensor(const TensorDesc& t) {
  if (t.layout.kind != Layout::Kind::any && !t.layout.is_plain()) {
    return "layout " + t.layout.str() + "; reference knows nchw only";
  }
  return "";
}

// Why the operands do not fit the op, or "".
std::string refuse_operands(const OpDesc& desc) {
  if (std::string reason = refuse_signature(desc); !reason.empty()) return reason;
  for (const TensorDesc& t : desc.in) {
    if (std::string reason = refuse_tensor(t); !reason.empty()) return reason;
  }
  for (size_t i = 0; i < desc.out.size(); ++i) {
    if (std::string reason = refuse_tensor(desc.out[i]); !reason.empty()) return reason;
    const DType type = desc.out[i].dtype;
    if (desc.accumulates(i) && (type == DType::i32 || type == DType::u8)) {
      return "output " + std::to_string(i) + " holds " + name_of(type) +
             ", which cannot be accumulated";
    }
  }
  if (desc.pass != Pass::forward || std::holds_alternative<Fill>(desc.op)) return "";
  const std::vector<TensorDesc> expected = infer(desc.op, desc.in);
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i].shape != desc.out[i].shape || expected[i].dtype != desc.out[i].dtype) {
      return "output " + std::to_string(i) + " is " + desc.out[i].str() + ", expected " +
             expected[i].str();
    }
  }
  return "";
}

Implementation implement_any(const OpDesc& desc) {
  try {
    if (std::string reason = refuse_operands(desc); !reason.empty()) return refuse(reason);
  } catch (const ConfigError& e) {
    return refuse(e.what());
  }
  Implementation result = std::visit([&](const auto& op) { return implement(op, desc); }, desc.op);
  drop_accumulating(desc, result.in_place);
  return result;
}

class ReferenceKernel final : public Kernel {
 public:
  explicit ReferenceKernel(Run run) : run_(std::move(run)) {}
  std::string impl() const override { return "reference"; }
  void run(const KernelArgs& args) const override { run_(args); }

 private:
  Run run_;
};

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }
  std::string description() const override {
    return "plain loops on one CPU thread, float64, float32, bfloat16 and float16, sums in float64";
  }

  Support supports(const OpDesc& desc) const override {
    Implementation found = implement_any(desc);
    if (!found.refusal.empty()) return {false, found.refusal, {}};
    return {true, "", std::move(found.in_place)};
  }

  OpDesc resolve(const OpDesc& desc) const override {
    OpDesc resolved = desc;
    for (TensorDesc& t : resolved.in) t.layout = Layout::nchw();
    for (TensorDesc& t : resolved.out) t.layout = Layout::nchw();
    return resolved;
  }

  std::shared_ptr<const Kernel> compile(const OpDesc& desc) override {
    Implementation found = implement_any(desc);
    if (!found.refusal.empty()) {
      throw DeviceError("reference cannot compute " + desc.str() + ": " + found.refusal);
    }
    return std::make_shared<ReferenceKernel>(std::move(found.run));
  }

  int64_t bytes(const TensorDesc& desc) const override { return desc.bytes(); }
  Buffer allocate(int64_t bytes) override { return host_buffer(bytes); }
  void copy(const Tensor& dst, const Tensor& src) override {
    if (src.desc != dst.desc) {
      throw InternalError("copy from " + src.desc.str() + " to " + dst.desc.str());
    }
    const int64_t size = bytes(src.desc);
    if (size > 0) std::memcpy(dst.data, src.data, static_cast<size_t>(size));
  }
};

}  // namespace
}  // namespace reference

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<reference::ReferenceBackend>();
}

}  // namespace resnet
