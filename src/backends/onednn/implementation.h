// What the files of this folder share: how an op says what it can do, the one layout of the
// activations of our own kernels, and loops over storage.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/onednn/isa.h"
#include "backends/onednn/layouts.h"
#include "resnet/backend/backend.h"
#include "resnet/base/half_types.h"
#include "resnet/base/parallel.h"

namespace resnet::onednn {

using Run = std::function<void(const KernelArgs&)>;

// Everything about one OpDesc: supports(), resolve() and compile() read it off.
struct Implementation {
  std::string refusal;                          // why nothing runs it; empty: supported
  OpDesc desc;                                  // with the layouts that the kernel wants
  std::vector<std::pair<int, int>> in_place{};  // as Support::in_place
  std::vector<int> accumulable{};               // outputs that the kernel can add to
  // Builds the kernel for `desc`. Must not refer to this object.
  std::function<std::shared_ptr<const Kernel>()> make{};
};

inline Implementation refuse(const OpDesc& desc, const std::string& reason) {
  return {reason, desc};
}

class Algorithms;  // algorithms.h

// A kernel of our own.
std::shared_ptr<const Kernel> own_kernel(std::string impl, int64_t scratch_bytes, Run run);

// Parts of a scratch buffer, each aligned to 64 bytes.
class ScratchPlan {
 public:
  template <class T>
  int64_t take(int64_t count) {
    const int64_t at = bytes_;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return at;
  }
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

// An operand of an OpDesc.
struct Slot {
  bool is_output;
  int index;
};
inline Slot in_slot(int i) { return {false, i}; }
inline Slot out_slot(int i) { return {true, i}; }
TensorDesc& tensor(OpDesc& desc, Slot slot);
const TensorDesc& tensor(const OpDesc& desc, Slot slot);

// Whether a tensor's bytes also read as layout `other`: equal, or channels are all that varies
// behind N and fill their blocks.
bool same_storage(const TensorDesc& desc, const Layout& other);

// Calls f with a value of the type that stores elements of `type`: bf16{} for bf16, else float{}.
template <class Function>
decltype(auto) for_storage(DType type, const Function& f) {
  return type == DType::bf16 ? f(bf16{}) : f(float{});
}

// Gives all `activations` (in order of preference; fixed layouts that our kernels know win) one
// layout of our own kernels and every other operand without a layout nchw. Fixed outputs that
// differ become a refusal, as do activations of different types. Indices of pooling may be among them.
Layout share_layout(Implementation& implementation, const std::vector<Slot>& activations);
// The same with row-major activations only.
void share_plain_layout(Implementation& implementation, const std::vector<Slot>& activations);

// "blocked:avx512", or "plain:avx512_bf16" for activations of that type.
std::string own_impl(const Layout& layout, DType type);

// Calls f(begin, end) in parallel on ranges of [0, n) values that begin at multiples of 1024.
void parallel_flat(int64_t n, const std::function<void(int64_t, int64_t)>& f);
void parallel_copy(std::byte* dst, const std::byte* src, int64_t bytes);

// Whether `bytes` at dst are worth storing past the caches: too many to stay there, aligned, and not
// just read (none of `inputs`).
bool worth_streaming(const void* dst, int64_t bytes, std::initializer_list<const void*> inputs);

// A tensor seen from one axis of its storage: element (o, k, i) is (o * axis + k) * inner + i.
struct AxisView {
  int64_t outer, axis, inner;
  AxisView(const Shape& shape, int a)
      : outer(shape.count(0, shape.canonical_axis(a))),
        axis(shape[shape.canonical_axis(a)]),
        inner(shape.count_from(shape.canonical_axis(a) + 1)) {}
};

// Each op's file defines its overload. `desc` has activations of f32, or bf16 where bf16_refusal() is
// empty (backend.cpp checks it).
Implementation implement(const Convolution& op, const OpDesc& desc, Layouts& layouts,
                         Algorithms& algorithms);
Implementation implement(const InnerProduct& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const BatchNorm& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const UpdateStatistics& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Scale& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Relu& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Eltwise& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Pooling& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Softmax& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const SoftmaxLoss& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const CountLabels& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Accuracy& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Dropout& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Concat& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Slice& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Reshape& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const IdentityShortcut& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Reorder& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const FoldBatchNorm& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const Fill& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const SgdUpdate& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const ScaleBy& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const SquaredNorm& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const RecordBatch& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const PrepareUpdate& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const DrawBatch& op, const OpDesc& desc, Layouts& layouts);
Implementation implement(const NormaliseImages& op, const OpDesc& desc, Layouts& layouts);

}  // namespace resnet::onednn
