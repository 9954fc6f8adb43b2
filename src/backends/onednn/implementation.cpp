#include "backends/onednn/implementation.h"

#include <algorithm>
#include <cstring>

namespace resnet::onednn {
namespace {

constexpr int64_t kFlatTile = 1024;  // values
// Below this many values a second thread costs more than it saves.
constexpr int64_t kFlatGrain = 16 * kFlatTile;

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

bool has_block_kernels(int width, DType type) {
  return for_storage(type, [&]<class T>(T) { return block_kernels<T>(width) != nullptr; });
}

// Whether our kernels on activations of `type` know the layout of an operand.
bool is_own(const TensorDesc& desc, DType type) {
  switch (desc.layout.kind) {
    case Layout::Kind::nchw:
      return true;
    case Layout::Kind::blocked:
      return desc.shape.rank() >= 2 && has_block_kernels(desc.layout.tag, type);
    default:
      return false;
  }
}

// Layouts that are told apart by nothing: (N, C, 1, 1) with full blocks.
bool is_ambiguous(const TensorDesc& desc) {
  return desc.layout.kind != Layout::Kind::any && desc.layout.kind != Layout::Kind::opaque &&
         same_storage(desc, Layout::nchw()) &&
         same_storage(desc, Layout::blocked(preferred_block()));
}

Layout default_layout(const Shape& shape, DType type) {
  const int block = preferred_block();
  const bool blocked = shape.rank() >= 3 && shape[1] % block == 0 && has_block_kernels(block, type);
  return blocked ? Layout::blocked(block) : Layout::nchw();
}

bool blocks_are_full(const Shape& shape, const Layout& layout) {
  return layout.kind != Layout::Kind::blocked || shape[1] % layout.tag == 0;
}

bool is_index(DType type) { return type == DType::u8 || type == DType::i32; }

// The type of those activations that hold numbers; f32 when there are none.
DType type_of(const OpDesc& desc, const std::vector<Slot>& activations) {
  for (const Slot slot : activations) {
    const DType type = tensor(desc, slot).dtype;
    if (!is_index(type)) return type;
  }
  return DType::f32;
}

void assign(Implementation& implementation, const std::vector<Slot>& activations,
            const Layout& layout) {
  OpDesc& desc = implementation.desc;
  const DType type = type_of(desc, activations);
  for (const Slot slot : activations) {
    TensorDesc& t = tensor(desc, slot);
    if (t.dtype != type && !is_index(t.dtype)) {
      implementation.refusal = std::string("activations of the types ") + name_of(type) + " and " +
                               name_of(t.dtype) + " in one step";
    }
    if (slot.is_output && t.layout.kind != Layout::Kind::any) {
      if (!same_storage(t, layout)) {
        implementation.refusal = "output " + std::to_string(slot.index) + " has layout " +
                                 t.layout.str() + ", the kernel writes " + layout.str();
      }
    } else if (!same_storage(t, layout)) {
      t.layout = layout;
    }
  }
  for (auto* tensors : {&desc.in, &desc.out}) {
    for (TensorDesc& t : *tensors) {
      if (t.layout.kind == Layout::Kind::any) t.layout = Layout::nchw();
    }
  }
}

}  // namespace

std::shared_ptr<const Kernel> own_kernel(std::string impl, int64_t scratch_bytes, Run run) {
  return std::make_shared<OwnKernel>(std::move(impl), scratch_bytes, std::move(run));
}

TensorDesc& tensor(OpDesc& desc, Slot slot) {
  return (slot.is_output ? desc.out : desc.in)[static_cast<size_t>(slot.index)];
}
const TensorDesc& tensor(const OpDesc& desc, Slot slot) {
  return (slot.is_output ? desc.out : desc.in)[static_cast<size_t>(slot.index)];
}

bool same_storage(const TensorDesc& desc, const Layout& other) {
  if (desc.layout == other) return true;
  const auto is_dense = [&](const Layout& layout) {
    return layout.kind != Layout::Kind::any && layout.kind != Layout::Kind::opaque &&
           desc.shape.rank() >= 2 && blocks_are_full(desc.shape, layout);
  };
  return is_dense(desc.layout) && is_dense(other) && desc.shape.count_from(2) == 1;
}

Layout share_layout(Implementation& implementation, const std::vector<Slot>& activations) {
  const OpDesc& desc = implementation.desc;
  const DType type = type_of(desc, activations);
  Layout layout = default_layout(tensor(desc, activations.front()).shape, type);
  for (const Slot slot : activations) {
    const TensorDesc& t = tensor(desc, slot);
    if (!is_own(t, type) || is_ambiguous(t)) continue;
    layout = t.layout;
    break;
  }
  assign(implementation, activations, layout);
  return layout;
}

void share_plain_layout(Implementation& implementation, const std::vector<Slot>& activations) {
  assign(implementation, activations, Layout::nchw());
}

std::string own_impl(const Layout& layout, DType type) {
  return std::string(layout.is_plain() ? "plain:" : "blocked:") + vector_kernels().isa +
         (type == DType::bf16 ? "_bf16" : "");
}

void parallel_flat(int64_t n, const std::function<void(int64_t, int64_t)>& f) {
  const int64_t tiles = (n + kFlatTile - 1) / kFlatTile;
  parallel_for(tiles, kFlatGrain / kFlatTile, [&](int64_t begin, int64_t end) {
    f(begin * kFlatTile, std::min(end * kFlatTile, n));
  });
}

void parallel_copy(std::byte* dst, const std::byte* src, int64_t bytes) {
  if (dst == src) return;
  constexpr int64_t kFloat = sizeof(float);
  parallel_flat((bytes + kFloat - 1) / kFloat, [=](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * kFloat, bytes);
    std::memcpy(dst + begin * kFloat, src + begin * kFloat,
                static_cast<size_t>(last - begin * kFloat));
  });
}

bool worth_streaming(const void* dst, int64_t bytes, std::initializer_list<const void*> inputs) {
  constexpr int64_t kWorthwhile = int64_t{1} << 20;
  return bytes >= kWorthwhile && reinterpret_cast<uintptr_t>(dst) % 64 == 0 &&
         std::find(inputs.begin(), inputs.end(), dst) == inputs.end();
}

}  // namespace resnet::onednn
