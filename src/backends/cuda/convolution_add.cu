#include "backends/cuda/convolution_add.h"

#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

// Each thread takes 8 elements, so that those of 16 bits are loaded at once.
constexpr int kStep = 8;

template <class S, class D>
__global__ void move_kernel(const S* src, D* dst, int64_t count, bool add) {
  const int64_t begin = RESNET_THREAD_INDEX * kStep;
  if (begin + kStep <= count) {
    const Pack<S, kStep> in = *reinterpret_cast<const Pack<S, kStep>*>(src + begin);
    auto* const place = reinterpret_cast<Pack<D, kStep>*>(dst + begin);
    Pack<D, kStep> out;
    if (add) out = *place;
    for (int i = 0; i < kStep; ++i) {
      const float value = to_float(in.v[i]);
      out.v[i] = from_float<D>(add ? to_float(out.v[i]) + value : value);
    }
    *place = out;
    return;
  }
  for (int64_t i = begin; i < count; ++i) {
    const float value = to_float(src[i]);
    dst[i] = from_float<D>(add ? to_float(dst[i]) + value : value);
  }
}

}  // namespace

void move_result(cudaStream_t stream, DType from, const void* src, DType to, void* dst,
                 int64_t count, bool add) {
  const unsigned blocks = blocks_for((count + kStep - 1) / kStep);
  with_type(from, [&]<class S>(S*) {
    if (to == DType::f32) {
      launch(stream, blocks, kThreads, move_kernel<S, float>, static_cast<const S*>(src),
             static_cast<float*>(dst), count, add);
    } else {
      launch(stream, blocks, kThreads, move_kernel<S, S>, static_cast<const S*>(src),
             static_cast<S*>(dst), count, add);
    }
  });
}

}  // namespace resnet::cuda
