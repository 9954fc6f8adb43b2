#include "backends/cuda/column_sums.h"

namespace resnet::cuda {
namespace {

__global__ void __launch_bounds__(kWarp* kSumRows)
    sum_rows(const float* partial, int64_t rows, int64_t columns, Sums first, Sums second) {
  const Sums sums = blockIdx.y == 0 ? first : second;
  const float* matrix = partial + blockIdx.y * rows * columns;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  float sum = 0;
  if (column < columns) {
    for (int64_t row = threadIdx.y; row < rows; row += kSumRows) {
      sum += matrix[row * columns + column];
    }
  }
  sum = sum_of_column(sum);
  if (threadIdx.y != 0 || column >= columns) return;
  sums.to[column] = sums.accumulate ? sums.to[column] + sum : sum;
}

}  // namespace

void sum_partials(cudaStream_t stream, const float* partial, int64_t rows, int64_t columns,
                  Sums first, Sums second) {
  const dim3 grid(blocks_for(columns, kWarp), second.to == nullptr ? 1 : 2);
  launch(stream, grid, ColumnSums::block(), sum_rows, partial, rows, columns, first, second);
}

}  // namespace resnet::cuda
