// The vectorised kernels of this backend as tables of function pointers, one table per instruction
// set. Only plain types here: this header is compiled with several sets of machine flags, and an
// inline function of the standard library compiled twice could leak into code for a lesser machine.
//
// Activations and their gradients are stored as T: float, or bf16. Arithmetic, sums and numbers per
// channel are in float or double whatever T is; what is stored as bf16 is rounded to the nearest,
// ties to even, and subnormal numbers become zero.
#pragma once

#include <cstdint>

#include "resnet/base/half_types.h"

namespace resnet::onednn {

// Extents of a pooling on one channel block's plane, (height, width) pairs.
struct PoolShape {
  int64_t src[2], dst[2], kernel[2], stride[2], pad[2];
};

// dst = (src - mean) * scale + shift [+ addend] [relu], on one run of pixels. Per-channel arrays have
// `width` entries. Pointers that do not apply are null. stream: store past the caches; the
// output is then aligned to 64 bytes, and finish_streams() must follow.
template <class T>
struct NormaliseRun {
  const T* src;
  const T* addend;
  T* dst;
  uint8_t* mask;  // bits of dst > 0 for the whole tensor; the run starts at bit mask_offset
  int64_t mask_offset;
  const float* mean;
  const float* scale;
  const float* shift;
  bool relu, stream;
};

// With d = diff_dst where mask (everywhere without one):
// diff_src = scale * (d - shift - slope * (src - mean)); diff_addend = d. Added where asked.
template <class T>
struct NormaliseBackwardRun {
  const T* diff_dst;
  const T* src;
  const uint8_t* mask;
  int64_t mask_offset;
  T* diff_src;
  T* diff_addend;
  const float* mean;
  const float* scale;
  const float* slope;
  const float* shift;
  bool accumulate_src, accumulate_addend;
  bool stream_src, stream_addend;
};

// Kernels on tensors of layout (N, C/width, H, W, width): a pixel is `width` consecutive values, one
// per channel of the block. Row-major tensors are blocks of width 1.
template <class T>
struct BlockKernels {
  int width;

  // Merges a run of pixels into running moments {count, mean[width], sum of squared
  // deviations[width]} without cancellation.
  void (*moments)(const T* src, int64_t pixels, double* moments);
  void (*normalise)(const NormaliseRun<T>& run, int64_t pixels);
  // Adds to sums[width] the sum of d and to sums[width + ..] that of d * (src - mean), d as above.
  void (*normalise_sums)(const NormaliseBackwardRun<T>& run, int64_t pixels, double* sums);
  void (*normalise_backward)(const NormaliseBackwardRun<T>& run, int64_t pixels);

  // One plane of one channel block. index may be null in forward. Backward adds the windows of a
  // pixel in diff_src: bf16 is rounded after each.
  void (*max_pool_u8)(const PoolShape& s, const T* src, T* dst, uint8_t* index);
  void (*max_pool_i32)(const PoolShape& s, const T* src, T* dst, int32_t* index);
  void (*max_pool_backward_u8)(const PoolShape& s, const T* diff_dst, const uint8_t* index,
                               T* diff_src, bool accumulate);
  void (*max_pool_backward_i32)(const PoolShape& s, const T* diff_dst, const int32_t* index,
                                T* diff_src, bool accumulate);
  void (*average_pool)(const PoolShape& s, const T* src, T* dst);
  void (*average_pool_backward)(const PoolShape& s, const T* diff_dst, T* diff_src,
                                bool accumulate);
};

// All kernels on activations.
template <class T>
struct ActivationKernels {
  BlockKernels<T> blocked, plain;

  // On flat arrays of n values.
  void (*relu)(const T* src, T* dst, int64_t n, float slope, bool accumulate);
  void (*relu_backward)(const T* diff_dst, const T* dst, T* diff_src, int64_t n, float slope,
                        bool accumulate);
  // dst = sum over i of coeff[i] * srcs[i][offset ..] [relu] [added to dst]; dst may be one of the
  // srcs. stream as in NormaliseRun.
  void (*weighted_sum)(const T* const* srcs, const float* coeff, int count, int64_t offset, T* dst,
                       int64_t n, bool relu, bool accumulate, bool stream);
};

struct SgdRun {
  const float* grad;
  float* weights;
  float* history;
  float rate, decay, momentum, scale;
  bool nesterov, l1;
};

// Kernels on flat arrays of n floats that are no activations.
struct FlatKernels {
  void (*sgd)(const SgdRun& run, int64_t n);
  // The sum of a[i] * b[i], in an order that depends on n alone.
  float (*dot)(const float* a, const float* b, int64_t n);
};

struct VectorKernels {
  const char* isa;  // "avx512", "avx2", "portable"
  ActivationKernels<float> activations;
  FlatKernels flat;
  void (*finish_streams)();  // orders stores past the caches before what follows
};

const VectorKernels& portable_kernels();
#ifdef RESNET_X86_KERNELS
const VectorKernels& avx2_kernels();
const VectorKernels& avx512_kernels();
// For machines with AVX512_BF16 beside AVX-512, whose other kernels are avx512_kernels().
const ActivationKernels<bf16>& avx512_bf16_kernels();
#endif

}  // namespace resnet::onednn
