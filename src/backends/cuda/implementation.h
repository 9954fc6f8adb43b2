// What the files of this folder share: how an op says what it can do, and the layout of images.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backends/cuda/device.h"
#include "resnet/backend/backend.h"

namespace resnet::cuda {

using Run = std::function<void(const KernelArgs&)>;
using KernelPtr = std::shared_ptr<const Kernel>;

// Everything about one OpDesc: supports(), resolve() and compile() read it off.
struct Implementation {
  std::string refusal;                          // why nothing runs it; empty: supported
  OpDesc desc;                                  // with the layouts that the kernel wants
  std::vector<std::pair<int, int>> in_place{};  // as Support::in_place
  std::vector<int> accumulable{};               // outputs that the kernel can add to
  // Builds the kernel for `desc`. Must not refer to this object; the device outlives the kernel.
  std::function<KernelPtr(const Device&)> make{};
};

inline Implementation refuse(const OpDesc& desc, const std::string& reason) {
  return {reason, desc};
}

// A kernel of our own.
KernelPtr own_kernel(std::string impl, int64_t scratch_bytes, Run run);

// Parts of a scratch buffer, each aligned to 256 bytes.
class ScratchPlan {
 public:
  template <class T>
  int64_t take(int64_t count) {
    const int64_t at = bytes_;
    bytes_ += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
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

// The one layout of activations and weights with three or more dimensions is nhwc (channels innermost;
// for weights (O,C,kh,kw) that is O,kh,kw,C); everything else is row-major. Gives `images` that layout
// and every other operand without one nchw. A fixed output in another layout becomes a refusal; a fixed
// input is asked for in nhwc.
void use_nhwc(Implementation& implementation, const std::vector<Slot>& images);
// For kernels that see no order of dimensions: all `images` get one layout, that of the first of them
// that is fixed, else nhwc.
void use_same_layout(Implementation& implementation, const std::vector<Slot>& images);
// Row-major everywhere.
void use_plain(Implementation& implementation);

// The layout that this backend gives a tensor of such a shape.
Layout preferred_layout(const Shape& shape);

bool is_real(DType type);  // f32, bf16, f16
// "" or why a tensor of this role is not one of f32, bf16, f16 / f32.
std::string refuse_unless_real(const char* role, const TensorDesc& desc);
std::string refuse_unless_f32(const char* role, const TensorDesc& desc);

// A tensor (N,C,H,W) in nhwc as a matrix: rows = N*H*W pixels, columns = C. Lower ranks likewise.
struct Pixels {
  int64_t images, channels, per_image;  // per_image = H*W
  explicit Pixels(const Shape& shape)
      : images(shape.rank() > 0 ? shape[0] : 1),
        channels(shape.rank() > 1 ? shape[1] : 1),
        per_image(shape.rank() > 2 ? shape.count_from(2) : 1) {}
  int64_t rows() const { return images * per_image; }
  int64_t count() const { return rows() * channels; }
};

// Each op's file defines its overload. Operands fit the op's signature (backend.cpp checks it).
Implementation implement(const Convolution& op, const OpDesc& desc);
Implementation implement(const InnerProduct& op, const OpDesc& desc);
Implementation implement(const BatchNorm& op, const OpDesc& desc);
Implementation implement(const UpdateStatistics& op, const OpDesc& desc);
Implementation implement(const Scale& op, const OpDesc& desc);
Implementation implement(const Relu& op, const OpDesc& desc);
Implementation implement(const Eltwise& op, const OpDesc& desc);
Implementation implement(const Pooling& op, const OpDesc& desc);
Implementation implement(const Softmax& op, const OpDesc& desc);
Implementation implement(const SoftmaxLoss& op, const OpDesc& desc);
Implementation implement(const CountLabels& op, const OpDesc& desc);
Implementation implement(const Accuracy& op, const OpDesc& desc);
Implementation implement(const Dropout& op, const OpDesc& desc);
Implementation implement(const Concat& op, const OpDesc& desc);
Implementation implement(const Slice& op, const OpDesc& desc);
Implementation implement(const Reshape& op, const OpDesc& desc);
Implementation implement(const IdentityShortcut& op, const OpDesc& desc);
Implementation implement(const Reorder& op, const OpDesc& desc);
Implementation implement(const FoldBatchNorm& op, const OpDesc& desc);
Implementation implement(const Fill& op, const OpDesc& desc);
Implementation implement(const SgdUpdate& op, const OpDesc& desc);
Implementation implement(const ScaleBy& op, const OpDesc& desc);
Implementation implement(const SquaredNorm& op, const OpDesc& desc);
Implementation implement(const RecordBatch& op, const OpDesc& desc);
Implementation implement(const PrepareUpdate& op, const OpDesc& desc);
Implementation implement(const DrawBatch& op, const OpDesc& desc);
Implementation implement(const NormaliseImages& op, const OpDesc& desc);

}  // namespace resnet::cuda
