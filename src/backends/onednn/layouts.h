// Between our tensor descriptors and oneDNN's memory descriptors.
#pragma once

#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "resnet/tensor/tensor.h"

namespace resnet::onednn {

using MemoryDesc = dnnl::memory::desc;

// Throws InternalError for a type that oneDNN does not know (f64).
dnnl::memory::data_type data_type(DType type);

// Row-major memory with these dimensions.
MemoryDesc plain_md(const dnnl::memory::dims& dims, DType type);
// The library is to choose.
MemoryDesc any_md(const dnnl::memory::dims& dims, DType type);
dnnl::memory::dims dims_of(const Shape& shape);

// Layouts of one backend: gives oneDNN's own layouts handles, equal memory descriptors the same one.
// Thread-safe.
class Layouts {
 public:
  // Memory descriptor of a tensor; nchw, nhwc and blocked ones from rank 3 to 5, any, opaque.
  MemoryDesc md(const TensorDesc& desc) const;
  // The layout of an activation; opaque when it is none of nchw, nhwc, blocked.
  Layout activation(const MemoryDesc& md);
  // The layout of weights: nchw or opaque.
  Layout weights(const MemoryDesc& md);
  // Bytes of storage for any fixed layout.
  int64_t bytes(const TensorDesc& desc) const;

 private:
  Layout opaque(const MemoryDesc& md);

  mutable std::mutex mutex_;
  std::vector<MemoryDesc> opaque_;  // by handle
};

}  // namespace resnet::onednn
