// The inner loops of resample(): weighted sums of rows, then of the pixels of a row. Pixels are words of
// four bytes. There are two kinds of numbers: Fixed for few taps, which is faster, and float.
#pragma once

#include <cstdint>

namespace resnet {

using Fixed = uint16_t;  // values: in units of 1/256 level; weights: 1/65536, less than one

// With more, what products lose could add up to more than 0.05 levels.
constexpr int64_t kMostFixedTaps = 4;

// Byte i of the sum is that of weights[k] * rows[k][i] over `taps` rows.
void add_rows(const uint8_t* const* rows, const Fixed* weights, int64_t taps, int64_t bytes,
              Fixed* sum);
void add_rows(const uint8_t* const* rows, const float* weights, int64_t taps, int64_t bytes,
              float* sum);

// Output i is the weighted sum of `taps` pixels from first[i] on, rounded; 2 or 4 of type Fixed. The
// weights are `taps` for each output, each four times. `outputs` is a multiple of kOutputs.
constexpr int64_t kOutputs = 4;
void add_pixels(const Fixed* pixels, const int64_t* first, const Fixed* weights, int64_t taps,
                int64_t outputs, uint32_t* out);
void add_pixels(const float* pixels, const int64_t* first, const float* weights, int64_t taps,
                int64_t outputs, uint32_t* out);

}  // namespace resnet
