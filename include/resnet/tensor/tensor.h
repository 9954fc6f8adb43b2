// What a tensor is: a shape, an element type, a memory layout and a pointer. No backend, no layer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace resnet {

// Logical dimensions, outermost first: (N,C,H,W) for images. At most kMaxRank; a value type.
class Shape {
 public:
  static constexpr int kMaxRank = 8;
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims);
  explicit Shape(
      const std::vector<int64_t>& dims);  // throws ConfigError on rank > 8 or a negative dim

  int rank() const { return rank_; }
  int64_t operator[](int i) const { return dims_[static_cast<size_t>(i)]; }
  int64_t& operator[](int i) { return dims_[static_cast<size_t>(i)]; }
  // Product of dims [begin, end); 1 for an empty range. Throws ConfigError on overflow of int64.
  int64_t count(int begin, int end) const;
  int64_t count() const { return count(0, rank_); }
  int64_t count_from(int begin) const { return count(begin, rank_); }
  // Maps a possibly negative axis (-1 = last) into [0, rank); throws ConfigError.
  int canonical_axis(int axis) const;
  std::string str() const;  // "(128,3,32,32)"
  std::vector<int64_t> dims() const { return {dims_.begin(), dims_.begin() + rank_}; }

  friend bool operator==(const Shape& a, const Shape& b) = default;

 private:
  std::array<int64_t, kMaxRank> dims_{};  // dims beyond rank_ stay 0
  int rank_ = 0;
};

enum class DType : uint8_t { f32, f64, f16, bf16, i32, u8 };
int64_t size_of(DType t);  // bytes
const char* name_of(DType t);

// Memory order of a tensor. `any` = not chosen yet (a backend's resolve() replaces it).
// `nchw` = row-major in logical order, for every rank. `nhwc` = channels innermost.
// `blocked`: channels in blocks of `tag` (nChw16c: N, C/16, H, W, 16), zero-padded channels at the end.
// `opaque`: the backend's own, `tag` is its handle; only that backend can interpret it.
struct Layout {
  enum class Kind : uint8_t { any, nchw, nhwc, blocked, opaque };
  Kind kind = Kind::nchw;
  int32_t tag = 0;

  static Layout any() { return {Kind::any, 0}; }
  static Layout nchw() { return {Kind::nchw, 0}; }
  static Layout nhwc() { return {Kind::nhwc, 0}; }
  static Layout blocked(int32_t block) { return {Kind::blocked, block}; }
  static Layout opaque(int32_t handle) { return {Kind::opaque, handle}; }
  bool is_plain() const { return kind == Kind::nchw; }
  std::string str() const;  // "nchw", "nChw16c", "opaque#3"
  friend bool operator==(const Layout&, const Layout&) = default;
};

// Equality means "the same bytes mean the same thing".
struct TensorDesc {
  Shape shape;
  DType dtype = DType::f32;
  Layout layout;

  int64_t count() const { return shape.count(); }
  // Bytes of storage for nchw, nhwc and blocked layouts (with padding). InternalError for any/opaque:
  // ask Backend::bytes().
  int64_t bytes() const;
  // Elements of storage including padding (blocked); same restriction.
  int64_t storage_count() const;
  std::string str() const;  // "f32 (128,16,32,32) nChw16c"
  friend bool operator==(const TensorDesc&, const TensorDesc&) = default;
};

enum class MemoryKind : uint8_t { host, device };

// A trivially copyable view; never outlives the Buffer it points into. A gradient is another Tensor.
struct Tensor {
  TensorDesc desc;
  std::byte* data = nullptr;
  MemoryKind where = MemoryKind::host;

  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data);
  }
};

// Move-only owner of one allocation, obtained from Backend::allocate (or host_buffer).
class Buffer {
 public:
  using Free = void (*)(std::byte*, int64_t bytes);
  Buffer() = default;
  Buffer(std::byte* data, int64_t bytes, MemoryKind where, Free free)
      : data_(data), bytes_(bytes), where_(where), free_(free) {}
  Buffer(Buffer&& o) noexcept;
  Buffer& operator=(Buffer&& o) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  // View at an offset; the caller guarantees that desc fits.
  Tensor view(const TensorDesc& desc, int64_t offset_bytes = 0) const;

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  MemoryKind where_ = MemoryKind::host;
  Free free_ = nullptr;
};

// 64-byte aligned host memory (2 MiB aligned with transparent huge pages advised from 4 MiB on);
// contents are zero. Throws OutOfMemory, also when the system would promise memory that it does not
// have and end the process later.
Buffer host_buffer(int64_t bytes);

}  // namespace resnet
