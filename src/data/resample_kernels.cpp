#include "data/resample_kernels.h"

#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "data/clones.h"

namespace resnet {
namespace {

// The upper half of a product of 16-bit numbers: one instruction for a vector of them. What is cut off
// is half a unit on average; sums start with that.
RESNET_INLINE Fixed product(Fixed value, Fixed weight) {
  return static_cast<Fixed>(uint32_t{value} * weight >> 16);
}

constexpr Fixed start_of_sum(int64_t taps) { return static_cast<Fixed>((taps + 1) / 2); }

constexpr Fixed kHalfLevel = 128;

template <int kTaps>
RESNET_INLINE void add(const uint8_t* const* rows, const Fixed* weights, int64_t bytes,
                       Fixed* __restrict sum) {
  for (int64_t i = 0; i < bytes; ++i) {
    Fixed value = start_of_sum(kTaps);
    for (int k = 0; k < kTaps; ++k) {
      value = static_cast<Fixed>(value + product(static_cast<Fixed>(rows[k][i] << 8), weights[k]));
    }
    sum[i] = value;
  }
}

using Fixed8 = Fixed __attribute__((vector_size(16)));  // two pixels

RESNET_INLINE Fixed8 load(const Fixed* from) {
  Fixed8 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

#ifdef __SSE2__
// Compilers do not find these two instructions in loops over so few numbers.
RESNET_INLINE Fixed8 product(Fixed8 a, Fixed8 b) {
  return reinterpret_cast<Fixed8>(
      _mm_mulhi_epu16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
}
RESNET_INLINE void store_levels(Fixed8 a, Fixed8 b, uint32_t* out) {
  const __m128i bytes =
      _mm_packus_epi16(reinterpret_cast<__m128i>(a >> 8), reinterpret_cast<__m128i>(b >> 8));
  std::memcpy(out, &bytes, sizeof bytes);
}
#else
RESNET_INLINE Fixed8 product(Fixed8 a, Fixed8 b) {
  for (int i = 0; i < 8; ++i) a[i] = product(a[i], b[i]);
  return a;
}
RESNET_INLINE void store_levels(Fixed8 a, Fixed8 b, uint32_t* out) {
  uint8_t bytes[16];
  for (int i = 0; i < 8; ++i) {
    bytes[i] = static_cast<uint8_t>(a[i] >> 8);
    bytes[8 + i] = static_cast<uint8_t>(b[i] >> 8);
  }
  std::memcpy(out, bytes, sizeof bytes);
}
#endif

// The sum of the even taps in the first half, that of the odd ones in the second.
template <int kTaps>
RESNET_INLINE Fixed8 add_pairs(const Fixed* pixels, const Fixed* weights) {
  Fixed8 sum = product(load(pixels), load(weights));
  for (int k = 2; k < kTaps; k += 2) sum += product(load(pixels + 4 * k), load(weights + 4 * k));
  return sum;
}

// Two outputs.
template <int kTaps>
RESNET_INLINE Fixed8 add_two(const Fixed* pixels, const int64_t* first, const Fixed* weights) {
  const Fixed8 a = add_pairs<kTaps>(pixels + 4 * first[0], weights);
  const Fixed8 b = add_pairs<kTaps>(pixels + 4 * first[1], weights + 4 * kTaps);
  const Fixed8 even = __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
  const Fixed8 odd = __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  return even + odd + static_cast<Fixed>(start_of_sum(kTaps) + kHalfLevel);
}

template <int kTaps>
RESNET_INLINE void filter(const Fixed* pixels, const int64_t* first, const Fixed* weights,
                          int64_t outputs, uint32_t* out) {
  for (int64_t i = 0; i < outputs; i += kOutputs, weights += 4 * kOutputs * kTaps) {
    store_levels(add_two<kTaps>(pixels, first + i, weights),
                 add_two<kTaps>(pixels, first + i + 2, weights + 8 * kTaps), out + i);
  }
}

}  // namespace

RESNET_CLONES void add_rows(const uint8_t* const* rows, const Fixed* weights, int64_t taps,
                            int64_t bytes, Fixed* __restrict sum) {
  switch (taps) {
    case 1:
      return add<1>(rows, weights, bytes, sum);
    case 2:
      return add<2>(rows, weights, bytes, sum);
    case 3:
      return add<3>(rows, weights, bytes, sum);
    default:
      return add<4>(rows, weights, bytes, sum);
  }
}

RESNET_CLONES void add_rows(const uint8_t* const* rows, const float* weights, int64_t taps,
                            int64_t bytes, float* __restrict sum) {
  for (int64_t i = 0; i < bytes; ++i) sum[i] = weights[0] * static_cast<float>(rows[0][i]);
  for (int64_t k = 1; k < taps; ++k) {
    const uint8_t* row = rows[k];
    for (int64_t i = 0; i < bytes; ++i) sum[i] += weights[k] * static_cast<float>(row[i]);
  }
}

RESNET_CLONES void add_pixels(const Fixed* pixels, const int64_t* first, const Fixed* weights,
                              int64_t taps, int64_t outputs, uint32_t* out) {
  taps == 2 ? filter<2>(pixels, first, weights, outputs, out)
            : filter<4>(pixels, first, weights, outputs, out);
}

RESNET_CLONES void add_pixels(const float* pixels, const int64_t* first, const float* weights,
                              int64_t taps, int64_t outputs, uint32_t* out) {
  for (int64_t i = 0; i < outputs; ++i, weights += 4 * taps) {
    const float* from = pixels + 4 * first[i];
    float sum[4] = {0.5F, 0.5F, 0.5F, 0.5F};
    for (int64_t k = 0; k < taps; ++k) {
      for (int c = 0; c < 4; ++c) sum[c] += weights[4 * k + c] * from[4 * k + c];
    }
    uint8_t levels[4];
    for (int c = 0; c < 4; ++c) levels[c] = static_cast<uint8_t>(static_cast<int>(sum[c]));
    std::memcpy(out + i, levels, sizeof levels);
  }
}

}  // namespace resnet
