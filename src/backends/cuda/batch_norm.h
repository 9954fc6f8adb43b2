// What the two files of BatchNorm share. Activations are matrices: a row for each pixel, a column for each
// channel; consecutive images, and so consecutive rows, form groups with statistics of their own.
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

#include "resnet/tensor/tensor.h"

namespace resnet::cuda::batch_norm {

struct Extent {
  int64_t groups, rows, channels;  // rows in each group
};

// Number of channels that a thread works on where their number is a multiple of it: a byte of the mask.
constexpr int kOctet = 8;

// Mean and deviation of a channel, from what forward saved or from running sums.
struct Moments {
  float mean, inverse_std;
  float mean_rest = 0;  // the mean is the sum of both: it may be large against the deviation
};

struct MomentSource {
  const float* saved = nullptr;  // (G,2,C), or null and:
  const float* mean = nullptr;   // running sums
  const float* variance = nullptr;
  const float* factor = nullptr;
  double eps = 0;
  int64_t channels = 0;

  __device__ __forceinline__ Moments of(int64_t group, int64_t c) const {
    if (saved != nullptr) {
      return {saved[2 * group * channels + c], saved[(2 * group + 1) * channels + c]};
    }
    const double f = factor[0], scale = f == 0 ? 0 : 1 / f;
    const double m = mean[c] * scale;
    const auto rounded = static_cast<float>(m);
    const auto deviation = static_cast<float>(sqrt(variance[c] * scale + eps));
    return {rounded, 1 / deviation, static_cast<float>(m - rounded)};
  }
};

// How sums over the rows of all groups are split. A grid of (tiles, chunks, groups) blocks: each adds the rows
// of a chunk for the channels of a tile; the last block of a tile adds the chunks. All of it follows from the
// shape alone, and so do the bits of the sums.
struct Reduction {
  explicit Reduction(const Extent& e);

  Extent extent;
  bool octets;  // threads work on kOctet channels, else on one
  int lanes;    // threads side by side in a tile
  int64_t tiles, chunks, rows_per_chunk;

  int64_t values() const { return static_cast<int64_t>(lanes) * 2 * (octets ? kOctet : 1); }
  int64_t partials() const { return tiles * extent.groups * chunks * values(); }  // doubles
};

// Memory of a reduction. The tickets (int, one a tile) are zero before and after every launch.
struct Workspace {
  double* partials;
  int* tickets;
};

// Batch statistics: saved (G,2,C) and stats (2,C).
struct MomentSums {
  const std::byte* src;
  double eps;
  float *saved, *stats;
};
void reduce_moments(cudaStream_t stream, DType type, const Reduction& reduction,
                    const MomentSums& sums, const Workspace& workspace);

// Sums of d and of d * x, with d = diff_dst where the mask is set, else 0, and x the normalised src.
struct GradientSums {
  const std::byte *diff_dst, *src;
  const uint8_t* mask;  // null: d = diff_dst
  MomentSource moments;
  float* coefficients;  // (G,2,C): mean of d, and mean of d * x times inverse_std; may be null
  float *diff_gamma, *diff_beta;  // (C), summed over the groups; may be null
  bool add_gamma, add_beta;       // to what they hold
};
void reduce_gradients(cudaStream_t stream, DType type, const Reduction& reduction,
                      const GradientSums& sums, const Workspace& workspace);

// Where the addend of a pixel lies: at the pixel itself, or at stride times its coordinates in an image with
// fewer channels.
struct AddendMap {
  uint32_t stride = 0;                           // 0: like dst
  uint32_t channels = 0, height = 0, width = 0;  // of the addend
  uint32_t dst_height = 0, dst_width = 0;

  struct Pixel {
    int64_t image;
    uint32_t y, x;  // in the addend, of the pixel that is added
  };
  __device__ __forceinline__ Pixel pixel(int64_t row) const {
    const auto r = static_cast<uint32_t>(row);
    const uint32_t line = r / dst_width, image = line / dst_height;
    return {image, (line - image * dst_height) * stride, (r - line * dst_width) * stride};
  }
  __device__ __forceinline__ int64_t element(const Pixel& p, uint32_t dy, uint32_t dx) const {
    return ((p.image * height + p.y + dy) * width + p.x + dx) * channels;
  }
};

// dst of forward and recompute; the mask is written where it is not null.
struct ForwardTask {
  Extent extent;
  MomentSource moments;
  const float *gamma, *beta;      // null: 1, 0
  const std::byte *src, *addend;  // addend: or null
  AddendMap map;
  std::byte* dst;
  uint8_t* mask;  // or null
  bool relu;
};

void run_forward(cudaStream_t stream, DType type, const ForwardTask& task);

// diff_src and diff_addend.
struct BackwardTask {
  Extent extent;
  MomentSource moments;
  const float* gamma;
  const float* coefficients;  // of reduce_gradients(); null in global mode
  const std::byte *diff_dst, *src;
  const uint8_t* mask;
  AddendMap map;
  std::byte *diff_src, *diff_addend;  // diff_addend: or null
  bool add_src, add_addend;           // to what they hold
};
void run_backward(cudaStream_t stream, DType type, const BackwardTask& task);

}  // namespace resnet::cuda::batch_norm
