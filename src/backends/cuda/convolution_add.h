// What a library's convolution left elsewhere is brought to its place.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "resnet/tensor/tensor.h"

namespace resnet::cuda {

// dst = src, or dst += src (add), of `count` elements; computed in f32. `to` is `from` or f32; both are real
// types. Pointers are aligned to 16 bytes.
void move_result(cudaStream_t stream, DType from, const void* src, DType to, void* dst,
                 int64_t count, bool add);

}  // namespace resnet::cuda
