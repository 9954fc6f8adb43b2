#include "backends/onednn/layouts.h"

#include <algorithm>

#include "resnet/base/error.h"

namespace resnet::onednn {
namespace {

using Tag = dnnl::memory::format_tag;

// Channels-last strides for any rank >= 3.
MemoryDesc nhwc_md(const dnnl::memory::dims& dims, DType type) {
  dnnl::memory::dims strides(dims.size());
  strides[1] = 1;
  dnnl::memory::dim stride = dims[1];
  for (size_t i = dims.size() - 1; i >= 2; --i) {
    strides[i] = stride;
    stride *= dims[i];
  }
  strides[0] = stride;
  return {dims, data_type(type), strides};
}

// Layout nChw16c or nChw8c for ranks 3 to 5.
MemoryDesc blocked_md(const dnnl::memory::dims& dims, DType type, int block) {
  constexpr Tag kTags[2][3] = {{Tag::nCw8c, Tag::nChw8c, Tag::nCdhw8c},
                               {Tag::nCw16c, Tag::nChw16c, Tag::nCdhw16c}};
  return {dims, data_type(type), kTags[block == 16 ? 1 : 0][dims.size() - 3]};
}

bool has_blocked_layouts(const dnnl::memory::dims& dims) {
  return dims.size() >= 3 && dims.size() <= 5;
}

DType type_of(const MemoryDesc& md) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::i32, DType::u8}) {
    if (data_type(type) == md.data_type()) return type;
  }
  throw InternalError("oneDNN chose an unexpected element type");
}

}  // namespace

dnnl::memory::data_type data_type(DType type) {
  using Type = dnnl::memory::data_type;
  switch (type) {
    case DType::f32:
      return Type::f32;
    case DType::f16:
      return Type::f16;
    case DType::bf16:
      return Type::bf16;
    case DType::i32:
      return Type::s32;
    case DType::u8:
      return Type::u8;
    case DType::f64:
      break;
  }
  throw InternalError(std::string("oneDNN has no element type ") + name_of(type));
}

MemoryDesc plain_md(const dnnl::memory::dims& dims, DType type) {
  dnnl::memory::dims strides(dims.size());
  dnnl::memory::dim stride = 1;
  for (size_t i = dims.size(); i-- > 0; stride *= std::max<dnnl::memory::dim>(dims[i], 1)) {
    strides[i] = stride;
  }
  return {dims, data_type(type), strides};
}

MemoryDesc any_md(const dnnl::memory::dims& dims, DType type) {
  return {dims, data_type(type), Tag::any};
}

dnnl::memory::dims dims_of(const Shape& shape) { return shape.dims(); }

MemoryDesc Layouts::md(const TensorDesc& desc) const {
  const dnnl::memory::dims dims = dims_of(desc.shape);
  switch (desc.layout.kind) {
    case Layout::Kind::any:
      return any_md(dims, desc.dtype);
    case Layout::Kind::nchw:
      return plain_md(dims, desc.dtype);
    case Layout::Kind::nhwc:
      if (has_blocked_layouts(dims)) return nhwc_md(dims, desc.dtype);
      break;
    case Layout::Kind::blocked:
      if (has_blocked_layouts(dims) && (desc.layout.tag == 16 || desc.layout.tag == 8)) {
        return blocked_md(dims, desc.dtype, desc.layout.tag);
      }
      break;
    case Layout::Kind::opaque: {
      const std::lock_guard lock(mutex_);
      const auto handle = static_cast<size_t>(desc.layout.tag);
      if (handle < opaque_.size()) return opaque_[handle];
      break;
    }
  }
  throw InternalError("onednn: a tensor " + desc.str() + " does not exist");
}

Layout Layouts::activation(const MemoryDesc& md) {
  const dnnl::memory::dims dims = md.dims();
  const DType type = type_of(md);
  if (md == plain_md(dims, type)) return Layout::nchw();
  if (has_blocked_layouts(dims)) {
    if (md == nhwc_md(dims, type)) return Layout::nhwc();
    for (const int block : {16, 8}) {
      if (md == blocked_md(dims, type, block)) return Layout::blocked(block);
    }
  }
  return opaque(md);
}

Layout Layouts::weights(const MemoryDesc& md) {
  return md == plain_md(md.dims(), type_of(md)) ? Layout::nchw() : opaque(md);
}

int64_t Layouts::bytes(const TensorDesc& desc) const {
  if (desc.layout.kind != Layout::Kind::opaque) return desc.bytes();
  return static_cast<int64_t>(md(desc).get_size());
}

Layout Layouts::opaque(const MemoryDesc& md) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find(opaque_.begin(), opaque_.end(), md);
  const auto handle = static_cast<int32_t>(found - opaque_.begin());
  if (found == opaque_.end()) opaque_.push_back(md);
  return Layout::opaque(handle);
}

}  // namespace resnet::onednn
