// The vectorised kernels of this backend as tables of function pointers, one table per instruction
// set. Only plain types here: this header is compiled with several sets of machine flags, and an
// inline function of the standard library compiled twice could leak into code for a lesser machine.
#pragma once

#include <cstdint>

namespace resnet::onednn {

// Extents of a pooling on one channel block's plane, (height, width) pairs.
struct PoolShape {
  int64_t src[2], dst[2], kernel[2], stride[2], pad[2];
};

// dst = (src - mean) * scale + shift [+ addend] [relu], on one run of pixels. Per-channel arrays have
// `width` entries. Pointers that do not apply are null. stream: store past the caches; the
// output is then aligned to 64 bytes, and finish_streams() must follow.
struct NormaliseRun {
  const float* src;
  const float* addend;
  float* dst;
  uint8_t* mask;  // bit array of the whole tensor; the run starts at bit mask_offset
  int64_t mask_offset;
  const float* mean;
  const float* scale;
  const float* shift;
  bool relu, stream;
};

// With d = diff_dst where mask (everywhere without one):
// diff_src = scale * (d - shift - slope * (src - mean)); diff_addend = d. Added where asked.
struct NormaliseBackwardRun {
  const float* diff_dst;
  const float* src;
  const uint8_t* mask;
  int64_t mask_offset;
  float* diff_src;
  float* diff_addend;
  const float* mean;
  const float* scale;
  const float* slope;
  const float* shift;
  bool accumulate_src, accumulate_addend;
  bool stream_src, stream_addend;
};

// Kernels on tensors of layout (N, C/width, H, W, width): a pixel is `width` consecutive floats, one
// per channel of the block. Row-major tensors are blocks of width 1.
struct BlockKernels {
  int width;

  // Merges a run of pixels into running moments {count, mean[width], sum of squared
  // deviations[width]} without cancellation.
  void (*moments)(const float* src, int64_t pixels, double* moments);
  void (*normalise)(const NormaliseRun& run, int64_t pixels);
  // Adds to sums[width] the sum of d and to sums[width + ..] that of d * (src - mean), d as above.
  void (*normalise_sums)(const NormaliseBackwardRun& run, int64_t pixels, double* sums);
  void (*normalise_backward)(const NormaliseBackwardRun& run, int64_t pixels);

  // One plane of one channel block. index may be null in forward.
  void (*max_pool_u8)(const PoolShape& s, const float* src, float* dst, uint8_t* index);
  void (*max_pool_i32)(const PoolShape& s, const float* src, float* dst, int32_t* index);
  void (*max_pool_backward_u8)(const PoolShape& s, const float* diff_dst, const uint8_t* index,
                               float* diff_src, bool accumulate);
  void (*max_pool_backward_i32)(const PoolShape& s, const float* diff_dst, const int32_t* index,
                                float* diff_src, bool accumulate);
  void (*average_pool)(const PoolShape& s, const float* src, float* dst);
  void (*average_pool_backward)(const PoolShape& s, const float* diff_dst, float* diff_src,
                                bool accumulate);
};

struct SgdRun {
  const float* grad;
  float* weights;
  float* history;
  float rate, decay, momentum, scale;
  bool nesterov, l1;
};

// Kernels on flat arrays of n floats.
struct FlatKernels {
  void (*relu)(const float* src, float* dst, int64_t n, float slope, bool accumulate);
  void (*relu_backward)(const float* diff_dst, const float* dst, float* diff_src, int64_t n,
                        float slope, bool accumulate);
  // dst = sum over i of coeff[i] * srcs[i][offset ..] [relu] [added to dst]; dst may be one of the
  // srcs. stream as in NormaliseRun.
  void (*weighted_sum)(const float* const* srcs, const float* coeff, int count, int64_t offset,
                       float* dst, int64_t n, bool relu, bool accumulate, bool stream);
  void (*sgd)(const SgdRun& run, int64_t n);
  // The sum of a[i] * b[i], in an order that depends on n alone.
  float (*dot)(const float* a, const float* b, int64_t n);
};

struct VectorKernels {
  const char* isa;  // "avx512", "avx2", "portable"
  BlockKernels blocked, plain;
  FlatKernels flat;
  void (*finish_streams)();  // orders stores past the caches before what follows
};

const VectorKernels& portable_kernels();
#ifdef RESNET_X86_KERNELS
const VectorKernels& avx2_kernels();
const VectorKernels& avx512_kernels();
#endif

}  // namespace resnet::onednn
