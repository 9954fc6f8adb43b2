// What the files of this folder share. Elements are read as double, computed in double and rounded
// to the storage type (f64, f32, bf16 or f16) where an unfused sequence of ops would store them; so fusing,
// accumulating and recomputing change no bit of a result on this backend.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "resnet/backend/backend.h"

namespace resnet::reference {

using Run = std::function<void(const KernelArgs&)>;

// What runs one OpDesc, or why nothing does. In-place pairs are those of Support.
struct Implementation {
  std::string refusal;  // empty: supported
  Run run;
  std::vector<std::pair<int, int>> in_place;
};
inline Implementation refuse(const std::string& reason) { return {reason, nullptr, {}}; }

double load(DType type, const std::byte* data, int64_t i);
void store(DType type, std::byte* data, int64_t i, double value);
// value as it would be after being stored with this type.
double rounded(DType type, double value);

// The elements of an input as double. A copy: what an output overwrites in place is still here.
class In {
 public:
  In() = default;  // an optional input that is absent
  explicit In(const Tensor& t);
  bool present() const { return !values_.empty(); }
  double operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }
  double get(int64_t i, double if_absent) const { return present() ? (*this)[i] : if_absent; }

 private:
  std::vector<double> values_;
};

// Takes the inputs of a pass in their order.
class Inputs {
 public:
  explicit Inputs(const KernelArgs& args) : tensors_(args.in) {}
  In take(bool present = true) { return present ? In(tensors_[next_++]) : In(); }
  const Tensor* take_mask(bool present) { return present ? &tensors_[next_++] : nullptr; }

 private:
  std::span<const Tensor> tensors_;
  size_t next_ = 0;
};

// Elements of an output: each is set once, which overwrites it or, when accumulating, adds to it.
class Out {
 public:
  Out(const Tensor& t, bool accumulate)
      : type_(t.desc.dtype), data_(t.data), accumulate_(accumulate) {}
  void set(int64_t i, double value) const {
    if (accumulate_) value = load(type_, data_, i) + rounded(type_, value);
    store(type_, data_, i, value);
  }

 private:
  DType type_;
  std::byte* data_;
  bool accumulate_;
};

inline Out output(const OpDesc& desc, const KernelArgs& args, size_t i) {
  return {args.out[i], desc.accumulates(i)};
}

// Writes the elements of a mask: bit i % 8 of byte i / 8.
void set_bit(const Tensor& mask, int64_t i, bool value);
bool get_bit(const Tensor& mask, int64_t i);

// Extents of a (N,C,H,W) tensor; lower ranks have H = W = 1, H takes what lies between N, C and W.
struct Image {
  int64_t n, c, h, w;
  explicit Image(const Shape& s)
      : n(s[0]),
        c(s.rank() > 1 ? s[1] : 1),
        h(s.rank() > 3 ? s.count(2, s.rank() - 1) : 1),
        w(s.rank() > 2 ? s[s.rank() - 1] : 1) {}
  int64_t at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const {
    return ((in * c + ic) * h + ih) * w + iw;
  }
};

// A tensor seen from one axis: element (o, k, i) is (o * axis + k) * inner + i.
struct Axis {
  int64_t outer, axis, inner;
  Axis(const Shape& s, int a)
      : outer(s.count(0, s.canonical_axis(a))),
        axis(s[s.canonical_axis(a)]),
        inner(s.count_from(s.canonical_axis(a) + 1)) {}
  int64_t at(int64_t o, int64_t k, int64_t i) const { return (o * axis + k) * inner + i; }
};

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

}  // namespace resnet::reference
