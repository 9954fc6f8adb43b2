// Scale.
#include "backends/cuda/column_sums.h"
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"

namespace resnet::cuda {
namespace {

// src in memory as (outer, gamma's elements, inner).
struct View {
  int64_t outer, middle, inner;
  __host__ __device__ int64_t count() const { return outer * middle * inner; }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    scale_forward(const T* src, const float* gamma, const float* beta, View v, bool accumulate,
                  T* dst) {
  const auto piece = this_piece<T>(v.count());
  if (piece.begin >= v.count()) return;
  float x[kPackOf<T>];
  piece.load(src, x);
  const Quotient row(piece.begin, v.inner);
  int64_t i = row.remainder, k = Quotient(row.quotient, v.middle).remainder;
  for (int e = 0; e < kPackOf<T>; ++e) {
    x[e] = x[e] * gamma[k] + (beta != nullptr ? beta[k] : 0.0F);
    if (++i < v.inner) continue;
    i = 0;
    if (++k == v.middle) k = 0;
  }
  piece.store(dst, x, accumulate);
}

// One element: diff_src, and what it adds to the sums.
template <class T>
__device__ void scale_back(const T* diff_dst, const T* src, float gamma, bool accumulate,
                           int64_t at, T* diff_src, float& gamma_sum, float& beta_sum) {
  const float diff = to_float(diff_dst[at]);
  gamma_sum += diff * to_float(src[at]);
  beta_sum += diff;
  const float before = accumulate ? to_float(diff_src[at]) : 0.0F;
  diff_src[at] = from_float<T>(before + diff * gamma);
}

// inner = 1: blocks as ColumnSums::grid(). partial: (2, slices, columns).
template <class T>
__global__ void __launch_bounds__(kWarp* kSumRows)
    scale_backward_columns(const T* diff_dst, const T* src, const float* gamma, ColumnSums shape,
                           bool accumulate, T* diff_src, float* partial) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + threadIdx.x;
  const int64_t begin = blockIdx.y * shape.rows_per_slice;
  const int64_t last = begin + shape.rows_per_slice;
  const int64_t end = last < shape.rows ? last : shape.rows;
  float gamma_sum = 0, beta_sum = 0;
  if (column < shape.columns) {
    for (int64_t row = begin + threadIdx.y; row < end; row += kSumRows) {
      scale_back(diff_dst, src, gamma[column], accumulate, row * shape.columns + column, diff_src,
                 gamma_sum, beta_sum);
    }
  }
  gamma_sum = sum_of_column(gamma_sum);
  beta_sum = sum_of_column(beta_sum);
  if (threadIdx.y != 0 || column >= shape.columns) return;
  partial[blockIdx.y * shape.columns + column] = gamma_sum;
  partial[(shape.slices + blockIdx.y) * shape.columns + column] = beta_sum;
}

// A block for each row of `inner` elements. partial: (2, outer, middle).
template <class T>
__global__ void __launch_bounds__(kWarp* kSumRows)
    scale_backward_rows(const T* diff_dst, const T* src, const float* gamma, View v,
                        bool accumulate, T* diff_src, float* partial) {
  const int64_t row = blockIdx.x;
  const float g = gamma[Quotient(row, v.middle).remainder];
  float gamma_sum = 0, beta_sum = 0;
  for (int64_t i = threadIdx.y * kWarp + threadIdx.x; i < v.inner; i += kWarp * kSumRows) {
    scale_back(diff_dst, src, g, accumulate, row * v.inner + i, diff_src, gamma_sum, beta_sum);
  }
  gamma_sum = sum_of_column(gamma_sum);
  beta_sum = sum_of_column(beta_sum);
  if (threadIdx.y != 0) return;
  for (int by = kWarp / 2; by > 0; by /= 2) {
    gamma_sum += __shfl_xor_sync(0xFFFFFFFFu, gamma_sum, by);
    beta_sum += __shfl_xor_sync(0xFFFFFFFFu, beta_sum, by);
  }
  if (threadIdx.x != 0) return;
  partial[row] = gamma_sum;
  partial[v.outer * v.middle + row] = beta_sum;
}

bool per_channel(const Scale& op, const Shape& src) {
  return op.num_axes == 1 && src.canonical_axis(op.axis) == 1;
}

// With the layout that `image` has after it was chosen.
View view_of(const Scale& op, const TensorDesc& image) {
  const Shape& shape = image.shape;
  const int axis = shape.canonical_axis(op.axis);
  if (image.layout.kind == Layout::Kind::nhwc && shape.rank() > 2) {
    return {shape[0] * shape.count_from(2), shape[1], 1};
  }
  return {shape.count(0, axis), shape.count(axis, axis + op.num_axes),
          shape.count_from(axis + op.num_axes)};
}

void use_layouts(Implementation& result, const Scale& op, const std::vector<Slot>& images) {
  if (per_channel(op, tensor(result.desc, images[0]).shape)) {
    use_same_layout(result, images);
  } else {
    use_plain(result);
  }
}

template <class T>
void run_backward(cudaStream_t stream, const View& v, bool add, Sums gamma_sums, Sums beta_sums,
                  const KernelArgs& args) {
  const auto *diff_dst = args.in[0].as<const T>(), *src = args.in[1].as<const T>();
  const auto* gamma = args.in[2].as<const float>();
  auto* diff_src = args.out[0].as<T>();
  auto* partial = reinterpret_cast<float*>(args.scratch);
  int64_t rows = v.outer;
  if (v.inner == 1) {
    const ColumnSums shape(v.outer, v.middle);
    launch(stream, shape.grid(), ColumnSums::block(), scale_backward_columns<T>, diff_dst, src,
           gamma, shape, add, diff_src, partial);
    rows = shape.slices;
  } else {
    launch(stream, static_cast<unsigned>(v.outer * v.middle), ColumnSums::block(),
           scale_backward_rows<T>, diff_dst, src, gamma, v, add, diff_src, partial);
  }
  sum_partials(stream, partial, rows, v.middle, gamma_sums, beta_sums);
}

Implementation backward(const Scale& op, Implementation result) {
  use_layouts(result, op, {in_slot(0), in_slot(1), out_slot(0)});
  result.in_place = {{0, 0}};
  const OpDesc& desc = result.desc;
  for (size_t i = 0; i < desc.out.size(); ++i) result.accumulable.push_back(static_cast<int>(i));
  const View v = view_of(op, desc.in[1]);
  const int64_t partial =
      v.inner == 1 ? column_sums_scratch(v.outer, v.middle) : v.outer * v.middle;
  ScratchPlan scratch;
  scratch.take<float>(2 * partial);
  result.make = [=, type = desc.in[0].dtype, add = desc.accumulates(0),
                 add_gamma = desc.accumulates(1),
                 add_beta = desc.accumulates(2)](const Device& device) {
    return own_kernel(
        "own", scratch.bytes(), [=, stream = device.stream()](const KernelArgs& args) {
          const Sums gamma_sums{args.out[1].as<float>(), add_gamma};
          const Sums beta_sums = op.bias ? Sums{args.out[2].as<float>(), add_beta} : Sums{};
          with_type(type, [&]<class T>(T*) {
            run_backward<T>(stream, v, add, gamma_sums, beta_sums, args);
          });
        });
  };
  return result;
}

std::string refuse_types(const OpDesc& desc) {
  const bool forward = desc.pass == Pass::forward;
  std::string reason = refuse_unless_real("src", desc.in[0]);
  if (reason.empty()) reason = refuse_unless_f32("gamma", desc.in[forward ? 1 : 2]);
  if (reason.empty() && forward && desc.in.size() > 2)
    reason = refuse_unless_f32("beta", desc.in[2]);
  if (reason.empty() && !forward && desc.in[1].dtype != desc.in[0].dtype) {
    reason = "src and diff_dst have different types";
  }
  return reason;
}

}  // namespace

Implementation implement(const Scale& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_types(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  if (desc.pass == Pass::backward) return backward(op, std::move(result));
  use_layouts(result, op, {in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}};
  result.accumulable = {0};
  const View v = view_of(op, result.desc.in[0]);
  result.make = [=, type = desc.in[0].dtype, add = desc.accumulates(0)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      const float* beta = op.bias ? args.in[2].as<float>() : nullptr;
      with_type(type, [&]<class T>(T*) {
        launch(stream, blocks_for_pieces<T>(v.count()), kThreads, scale_forward<T>,
               args.in[0].as<T>(), args.in[1].as<float>(), beta, v, add, args.out[0].as<T>());
      });
    });
  };
  return result;
}

}  // namespace resnet::cuda
