#include "resnet/tensor/tensor.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "resnet/base/error.h"
#include "resnet/base/memory.h"

namespace resnet {
namespace {

constexpr int64_t kHugePageBytes = int64_t{2} << 20;
constexpr int64_t kAlignment = 64;
constexpr int64_t kCheckedBytes = int64_t{64} << 20;  // below, asking is not worth its time

OutOfMemory out_of_memory(int64_t bytes) {
  return {std::to_string(bytes >> 20) + " MiB are needed at once, " +
              std::to_string(available_memory_bytes() >> 20) + " MiB are available",
          "use a smaller batch_size with a larger iter_size"};
}

void check_dims(const int64_t* dims, size_t n) {
  if (n > Shape::kMaxRank) {
    throw ConfigError("shape has " + std::to_string(n) + " dimensions; at most 8 are supported");
  }
  for (size_t i = 0; i < n; ++i) {
    if (dims[i] < 0) throw ConfigError("shape has a negative dimension " + std::to_string(dims[i]));
  }
}

}  // namespace

Shape::Shape(std::initializer_list<int64_t> dims) : Shape(std::vector<int64_t>(dims)) {}

Shape::Shape(const std::vector<int64_t>& dims) : rank_(static_cast<int>(dims.size())) {
  check_dims(dims.data(), dims.size());
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

int64_t Shape::count(int begin, int end) const {
  int64_t product = 1;
  for (int i = begin; i < end; ++i) {
    if (__builtin_mul_overflow(product, (*this)[i], &product)) {
      throw ConfigError("shape " + str() + " has more elements than 2^63");
    }
  }
  return product;
}

int Shape::canonical_axis(int axis) const {
  if (axis < -rank_ || axis >= rank_) {
    throw ConfigError("axis " + std::to_string(axis) + " is out of range for shape " + str());
  }
  return axis < 0 ? axis + rank_ : axis;
}

std::string Shape::str() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) {
    if (i > 0) text += ",";
    text += std::to_string((*this)[i]);
  }
  return text + ")";
}

int64_t size_of(DType t) {
  switch (t) {
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
  }
  throw InternalError("unknown element type");
}

const char* name_of(DType t) {
  switch (t) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
  }
  throw InternalError("unknown element type");
}

std::string Layout::str() const {
  switch (kind) {
    case Kind::any:
      return "any";
    case Kind::nchw:
      return "nchw";
    case Kind::nhwc:
      return "nhwc";
    case Kind::blocked:
      return "nChw" + std::to_string(tag) + "c";
    case Kind::opaque:
      return "opaque#" + std::to_string(tag);
  }
  throw InternalError("unknown layout");
}

int64_t TensorDesc::storage_count() const {
  switch (layout.kind) {
    case Layout::Kind::nchw:
    case Layout::Kind::nhwc:
      return shape.count();
    case Layout::Kind::blocked: {
      Shape padded = shape;
      padded[1] = (shape[1] + layout.tag - 1) / layout.tag * layout.tag;
      return padded.count();
    }
    default:
      throw InternalError("the storage of layout " + layout.str() +
                          " is known to its backend only");
  }
}

int64_t TensorDesc::bytes() const {
  int64_t result = 0;
  if (__builtin_mul_overflow(storage_count(), size_of(dtype), &result)) {
    throw ConfigError("tensor " + shape.str() + " has more bytes than 2^63");
  }
  return result;
}

std::string TensorDesc::str() const {
  return std::string(name_of(dtype)) + " " + shape.str() + " " + layout.str();
}

Buffer::Buffer(Buffer&& o) noexcept
    : data_(std::exchange(o.data_, nullptr)),
      bytes_(std::exchange(o.bytes_, 0)),
      where_(o.where_),
      free_(std::exchange(o.free_, nullptr)) {}

Buffer& Buffer::operator=(Buffer&& o) noexcept {
  if (this != &o) {
    if (data_ != nullptr) free_(data_, bytes_);
    data_ = std::exchange(o.data_, nullptr);
    bytes_ = std::exchange(o.bytes_, 0);
    where_ = o.where_;
    free_ = std::exchange(o.free_, nullptr);
  }
  return *this;
}

Buffer::~Buffer() {
  if (data_ != nullptr) free_(data_, bytes_);
}

Tensor Buffer::view(const TensorDesc& desc, int64_t offset_bytes) const {
  return {desc, data_ + offset_bytes, where_};
}

Buffer host_buffer(int64_t bytes) {
  if (bytes == 0) return {};
  if (bytes >= kCheckedBytes && bytes > available_memory_bytes()) throw out_of_memory(bytes);
  const bool huge = bytes >= 2 * kHugePageBytes;
  const int64_t alignment = huge ? kHugePageBytes : kAlignment;
  const int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  auto* data = static_cast<std::byte*>(
      std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(rounded)));
  if (data == nullptr) throw out_of_memory(bytes);
  if (huge) madvise(data, static_cast<size_t>(rounded), MADV_HUGEPAGE);
  std::memset(data, 0, static_cast<size_t>(rounded));
  return {data, bytes, MemoryKind::host, [](std::byte* p, int64_t) { std::free(p); }};
}

}  // namespace resnet
