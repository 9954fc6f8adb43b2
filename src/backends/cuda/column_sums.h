// Sums over the rows of a matrix (rows, columns) in an order that depends on its shape only: slices of rows
// first, in blocks of their own, then over the slices.
#pragma once

#include <algorithm>

#include "backends/cuda/launch.h"

namespace resnet::cuda {

constexpr int kSumRows = 8;  // rows that a block reads at a time; kWarp columns

struct ColumnSums {
  int64_t rows, columns;
  int64_t slices, rows_per_slice;

  ColumnSums(int64_t rows_, int64_t columns_) : rows(rows_), columns(columns_) {
    constexpr int64_t kBlocks = 528;    // four for each multiprocessor of an H100
    constexpr int64_t kLeastRows = 64;  // of a slice: eight for each thread
    const int64_t tiles = (columns + kWarp - 1) / kWarp;
    const int64_t wanted = std::max<int64_t>(1, kBlocks / std::max<int64_t>(1, tiles));
    slices = std::max<int64_t>(1, std::min(wanted, rows / kLeastRows));
    rows_per_slice = (rows + slices - 1) / slices;
  }
  // Floats of the sums of all slices.
  int64_t partial_count() const { return slices * columns; }
  // Of a kernel that sums a slice of rows in every block: column blockIdx.x * kWarp + threadIdx.x, slice
  // blockIdx.y, rows threadIdx.y, threadIdx.y + kSumRows, .. of it.
  dim3 grid() const { return dim3(blocks_for(columns, kWarp), static_cast<unsigned>(slices)); }
  static dim3 block() { return dim3(kWarp, kSumRows); }
};

// The sum of the threads of a column of a block as in ColumnSums::grid(); valid where threadIdx.y is 0. All
// threads of the block have to call it.
__device__ inline float sum_of_column(float value) {
  __shared__ float values[kSumRows][kWarp];
  __syncthreads();  // an earlier call may still read
  values[threadIdx.y][threadIdx.x] = value;
  __syncthreads();
  float sum = 0;
  if (threadIdx.y == 0) {
    for (int y = 0; y < kSumRows; ++y) sum += values[y][threadIdx.x];
  }
  return sum;
}

// partial (slices, columns) = sums of the slices of src (rows, columns).
template <class T>
__global__ void __launch_bounds__(kWarp* kSumRows)
    sum_slices(const T* src, ColumnSums shape, float* partial) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  const int64_t begin = blockIdx.y * shape.rows_per_slice;
  const int64_t last = begin + shape.rows_per_slice;
  const int64_t end = last < shape.rows ? last : shape.rows;
  float sum = 0;
  if (column < shape.columns) {
    for (int64_t row = begin + threadIdx.y; row < end; row += kSumRows) {
      sum += to_float(src[row * shape.columns + column]);
    }
  }
  sum = sum_of_column(sum);
  if (threadIdx.y == 0 && column < shape.columns) {
    partial[blockIdx.y * shape.columns + column] = sum;
  }
}

// Floats of scratch memory for column_sums().
inline int64_t column_sums_scratch(int64_t rows, int64_t columns) {
  return ColumnSums(rows, columns).partial_count();
}

// Where sums go.
struct Sums {
  float* to = nullptr;  // may be null: not wanted
  bool accumulate = false;
};
// first (columns) = or += the sums of the rows of `partial` (rows, columns); second those of the matrix
// of the same shape that lies behind it.
void sum_partials(cudaStream_t stream, const float* partial, int64_t rows, int64_t columns,
                  Sums first, Sums second = {});

// sums (columns) = or += the sums of the rows of src.
template <class T>
void column_sums(cudaStream_t stream, const T* src, int64_t rows, int64_t columns, float* partial,
                 Sums sums) {
  const ColumnSums shape(rows, columns);
  launch(stream, shape.grid(), ColumnSums::block(), sum_slices<T>, src, shape, partial);
  sum_partials(stream, partial, shape.slices, columns, sums);
}

}  // namespace resnet::cuda
