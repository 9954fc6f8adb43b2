#include "backends/cuda/implementation.h"

#include <algorithm>

namespace resnet::cuda {
namespace {

class OwnKernel final : public Kernel {
 public:
  OwnKernel(std::string impl, int64_t scratch_bytes, Run run)
      : impl_(std::move(impl)), scratch_bytes_(scratch_bytes), run_(std::move(run)) {}
  std::string impl() const override { return impl_; }
  int64_t scratch_bytes() const override { return scratch_bytes_; }
  void run(const KernelArgs& args) const override { run_(args); }

 private:
  std::string impl_;
  int64_t scratch_bytes_;
  Run run_;
};

// Whether the bytes of a tensor read the same in both layouts.
bool same_storage(const TensorDesc& desc, const Layout& other) {
  if (desc.layout == other) return true;
  const auto dense = [](const Layout& layout) {
    return layout.kind == Layout::Kind::nchw || layout.kind == Layout::Kind::nhwc;
  };
  const Shape& shape = desc.shape;
  return dense(desc.layout) && dense(other) &&
         (shape.rank() < 3 || shape[1] == 1 || shape.count_from(2) == 1);
}

void assign(Implementation& implementation, Slot slot, const Layout& layout) {
  TensorDesc& t = tensor(implementation.desc, slot);
  if (same_storage(t, layout)) return;
  if (slot.is_output && t.layout.kind != Layout::Kind::any) {
    implementation.refusal = "output " + std::to_string(slot.index) + " has layout " +
                             t.layout.str() + ", the kernel writes " + layout.str();
    return;
  }
  t.layout = layout;
}

void assign_rest(OpDesc& desc) {
  for (auto* tensors : {&desc.in, &desc.out}) {
    for (TensorDesc& t : *tensors) {
      if (t.layout.kind == Layout::Kind::any) t.layout = Layout::nchw();
    }
  }
}

}  // namespace

KernelPtr own_kernel(std::string impl, int64_t scratch_bytes, Run run) {
  return std::make_shared<OwnKernel>(std::move(impl), scratch_bytes, std::move(run));
}

TensorDesc& tensor(OpDesc& desc, Slot slot) {
  return (slot.is_output ? desc.out : desc.in)[static_cast<size_t>(slot.index)];
}
const TensorDesc& tensor(const OpDesc& desc, Slot slot) {
  return (slot.is_output ? desc.out : desc.in)[static_cast<size_t>(slot.index)];
}

Layout preferred_layout(const Shape& shape) {
  return shape.rank() >= 3 ? Layout::nhwc() : Layout::nchw();
}

void use_nhwc(Implementation& implementation, const std::vector<Slot>& images) {
  for (const Slot slot : images) {
    assign(implementation, slot, preferred_layout(tensor(implementation.desc, slot).shape));
  }
  assign_rest(implementation.desc);
}

void use_same_layout(Implementation& implementation, const std::vector<Slot>& images) {
  const OpDesc& desc = implementation.desc;
  Layout layout = preferred_layout(tensor(desc, images.front()).shape);
  const auto fixed = [&](Slot slot) {
    const TensorDesc& t = tensor(desc, slot);
    return t.layout.kind != Layout::Kind::any &&
           !(same_storage(t, Layout::nchw()) && same_storage(t, Layout::nhwc()));
  };
  const auto found = std::find_if(images.begin(), images.end(), fixed);
  if (found != images.end()) layout = tensor(desc, *found).layout;
  // A fixed output decides.
  for (const Slot slot : images) {
    if (slot.is_output && fixed(slot)) layout = tensor(desc, slot).layout;
  }
  for (const Slot slot : images) assign(implementation, slot, layout);
  assign_rest(implementation.desc);
}

void use_plain(Implementation& implementation) {
  OpDesc& desc = implementation.desc;
  for (size_t i = 0; i < desc.in.size(); ++i) {
    assign(implementation, in_slot(static_cast<int>(i)), Layout::nchw());
  }
  for (size_t i = 0; i < desc.out.size(); ++i) {
    assign(implementation, out_slot(static_cast<int>(i)), Layout::nchw());
  }
}

bool is_real(DType type) { return type == DType::f32 || type == DType::bf16 || type == DType::f16; }

std::string refuse_unless_real(const char* role, const TensorDesc& desc) {
  if (is_real(desc.dtype)) return "";
  return std::string(role) + " has type " + name_of(desc.dtype) +
         "; cuda computes in f32, bf16 and f16";
}

std::string refuse_unless_f32(const char* role, const TensorDesc& desc) {
  if (desc.dtype == DType::f32) return "";
  return std::string(role) + " has type " + name_of(desc.dtype) + "; cuda takes f32 here";
}

}  // namespace resnet::cuda
