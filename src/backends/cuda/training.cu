// SgdUpdate, ScaleBy, SquaredNorm, RecordBatch, PrepareUpdate, DrawBatch, NormaliseImages.
#include <limits>

#include "resnet/ops/training_rules.h"

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

// Copy: float where no copy of the weights is kept.
template <class Copy>
__global__ void sgd(SgdUpdate op, const float* grad, const double* hyper, int64_t count,
                    float* weights, float* history, Copy* copy) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= count) return;
  const SgdRule<float> rule(op, hyper);
  if (!rule.applies()) return;
  float w = weights[i], h = history[i];
  rule.apply(grad[i], w, h);
  weights[i] = w;
  history[i] = h;
  if (copy != nullptr) copy[i] = from_float<Copy>(w);
}

template <class T>
__global__ void scale_by(const T* src, const double* factor, int64_t count, T* dst) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i < count) dst[i] = from_float<T>(to_float(src[i]) * static_cast<float>(*factor));
}

constexpr int64_t kMostImages = 65535;  // of a grid
constexpr int64_t kMostParts = 512;     // of a sum, one a block

// The sum of a block's values, in a fixed order; valid in thread 0.
__device__ double sum_of_block(double value) {
  __shared__ double sums[kThreads];
  sums[threadIdx.x] = value;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    __syncthreads();
  }
  return sums[0];
}

__global__ void __launch_bounds__(kThreads)
    sum_squares(const float* src, int64_t count, double* parts) {
  double sum = 0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = RESNET_THREAD_INDEX; i < count; i += step) {
    sum += static_cast<double>(src[i]) * src[i];
  }
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

__global__ void __launch_bounds__(kThreads) sum_parts(const double* parts, int count, double* dst) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += parts[i];
  sum = sum_of_block(sum);
  if (threadIdx.x == 0) *dst = sum;
}

// One thread: a handful of values.
__global__ void note_batch(RecordBatch op, const float* metrics, int64_t count, double* state,
                           float* ring) {
  record_batch(op, metrics, count, state, ring);
}

__global__ void next_update(PrepareUpdate op, const double* schedule, int64_t rows,
                            const double* squared_norm, double* state, double* hyper) {
  prepare_update(op, schedule, rows, squared_norm, state, hyper);
}

// A block draws a part of one image's elements, in the order of dst.
template <bool kNhwc, class T>
__global__ void draw_batch(DrawBatch op, HeldImages held, const double* state, T* data,
                           float* labels) {
  const int64_t n = blockIdx.y;
  const int64_t position = static_cast<int64_t>(state[train_state::kPosition]) + n;
  const DrawnWindow window(op, held.height, held.width,
                           static_cast<uint64_t>(state[train_state::kSeed]), position);
  const int64_t record = held.record(position);
  const int64_t i = RESNET_THREAD_INDEX, pixels = op.height * op.width;
  if (i == 0) labels[n] = held.labels[record];
  if (i >= held.channels * pixels) return;
  const int64_t c = kNhwc ? i % held.channels : i / pixels;
  const int64_t pixel = kNhwc ? i / held.channels : i % pixels;
  data[n * held.channels * pixels + i] =
      from_float<T>(held.element(op, window, record, c, pixel / op.width, pixel % op.width));
}

// A thread writes all planes of a pixel.
template <bool kNhwc, class T>
__global__ void normalise(PlacedImages images, T* data) {
  const int32_t pixel = static_cast<int32_t>(RESNET_THREAD_INDEX);
  const int32_t pixels = images.height * images.width;
  if (pixel >= pixels) return;
  const PlacedPixel placed(images, blockIdx.y, pixel / images.width, pixel % images.width);
  T* image = data + static_cast<int64_t>(blockIdx.y) * images.channels * pixels;
  for (int32_t c = 0; c < images.channels; ++c) {
    image[kNhwc ? pixel * images.channels + c : c * pixels + pixel] =
        from_float<T>(placed.element(c));
  }
}

// The written images may have either layout; the rest is plain. Returns whether they are nhwc.
bool choose_written_layout(OpDesc& desc) {
  for (TensorDesc& t : desc.in) t.layout = Layout::nchw();
  if (desc.out[0].layout.kind == Layout::Kind::any) desc.out[0].layout = Layout::nhwc();
  for (size_t i = 1; i < desc.out.size(); ++i) desc.out[i].layout = Layout::nchw();
  return desc.out[0].layout == Layout::nhwc();
}

bool accumulates_any(const OpDesc& desc) {
  for (size_t i = 0; i < desc.out.size(); ++i) {
    if (desc.accumulates(i)) return true;
  }
  return false;
}

}  // namespace

// Any layout: all tensors have the same one.
Implementation implement(const SgdUpdate& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_f32("the gradient", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  std::vector<Slot> slots{out_slot(0), out_slot(1), in_slot(0)};
  if (desc.out.size() > 2) slots.push_back(out_slot(2));
  use_same_layout(result, slots);
  const int64_t count = desc.in[0].count();
  result.make = [=](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(op.copy_type, [&]<class T>(T*) {
        T* copy = args.out.size() > 2 ? args.out[2].as<T>() : nullptr;
        launch(stream, blocks_for(count), kThreads, sgd<T>, op, args.in[0].as<float>(),
               args.in[1].as<double>(), count, args.out[0].as<float>(), args.out[1].as<float>(),
               copy);
      });
    });
  };
  return result;
}

Implementation implement(const ScaleBy& /*op*/, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_same_layout(result, {in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}};
  const int64_t count = desc.in[0].count();
  result.make = [=, type = desc.in[0].dtype](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        launch(stream, blocks_for(count), kThreads, scale_by<T>, args.in[0].as<T>(),
               args.in[1].as<double>(), count, args.out[0].as<T>());
      });
    });
  };
  return result;
}

Implementation implement(const SquaredNorm& /*op*/, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_f32("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  const int64_t count = desc.in[0].count();
  const int64_t parts = std::clamp<int64_t>((count + kThreads - 1) / kThreads, 1, kMostParts);
  ScratchPlan scratch;
  scratch.take<double>(parts);
  result.make = [=, bytes = scratch.bytes()](const Device& device) {
    return own_kernel("own", bytes, [=, stream = device.stream()](const KernelArgs& args) {
      auto* sums = reinterpret_cast<double*>(args.scratch);
      launch(stream, static_cast<unsigned>(parts), kThreads, sum_squares, args.in[0].as<float>(),
             count, sums);
      launch(stream, 1, kThreads, sum_parts, sums, static_cast<int>(parts),
             args.out[0].as<double>());
    });
  };
  return result;
}

Implementation implement(const RecordBatch& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_f32("metrics", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  result.make = [op, count = desc.in[0].count()](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      launch(stream, 1, 1, note_batch, op, args.in[0].as<float>(), count, args.out[0].as<double>(),
             args.out[1].as<float>());
    });
  };
  return result;
}

Implementation implement(const PrepareUpdate& op, const OpDesc& desc) {
  Implementation result{.refusal = {}, .desc = desc};
  use_plain(result);
  result.make = [op, rows = desc.in[0].shape[0]](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      const double* norm = op.has_norm ? args.in[1].as<double>() : nullptr;
      launch(stream, 1, 1, next_update, op, args.in[0].as<double>(), rows, norm,
             args.out[0].as<double>(), args.out[1].as<double>());
    });
  };
  return result;
}

Implementation implement(const DrawBatch& op, const OpDesc& desc) {
  Implementation result{.refusal = {}, .desc = desc};
  if (accumulates_any(desc)) return refuse(desc, "a batch is drawn, not accumulated");
  if (desc.in[0].dtype != DType::u8) return refuse(desc, "images must be u8");
  if (op.batch > kMostRowsOfGrid) return refuse(desc, "a batch of more than 65535 images");
  result.refusal = refuse_unless_f32("labels", desc.in[1]);
  if (!result.refusal.empty()) return result;
  const bool nhwc = choose_written_layout(result.desc);
  const Shape shape = desc.in[0].shape;
  const bool mean_of_pixels = desc.in[3].shape.rank() == 3;
  result.make = [=](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      const HeldImages held{args.in[0].as<uint8_t>(),
                            args.in[1].as<float>(),
                            args.in[2].as<int32_t>(),
                            args.in[3].as<float>(),
                            shape[0],
                            shape[1],
                            shape[2],
                            shape[3],
                            mean_of_pixels};
      const dim3 grid(blocks_for(shape[1] * op.height * op.width), static_cast<unsigned>(op.batch));
      with_type(op.type, [&]<class T>(T*) {
        launch(stream, grid, kThreads, nhwc ? draw_batch<true, T> : draw_batch<false, T>, op, held,
               args.in[4].as<double>(), args.out[0].as<T>(), args.out[1].as<float>());
      });
    });
  };
  return result;
}

Implementation implement(const NormaliseImages& op, const OpDesc& desc) {
  Implementation result{.refusal = {}, .desc = desc};
  if (accumulates_any(desc)) return refuse(desc, "a batch is written, not accumulated");
  if (desc.in[0].dtype != DType::u8) return refuse(desc, "levels must be u8");
  result.refusal = refuse_unless_f32("placements", desc.in[1]);
  if (result.refusal.empty()) result.refusal = refuse_unless_f32("the mean", desc.in[2]);
  if (!result.refusal.empty()) return result;
  if (desc.in[0].count() / desc.in[0].shape[0] >= std::numeric_limits<int32_t>::max() ||
      desc.in[0].shape[0] > kMostImages) {
    return refuse(desc, "images of at most 2^31 values, 65535 of them");
  }
  const bool nhwc = choose_written_layout(result.desc);
  result.make = [=](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      const PlacedImages images = placed_images(op, args.in);
      const dim3 grid(blocks_for(int64_t{images.height} * images.width),
                      static_cast<unsigned>(args.in[0].desc.shape[0]));
      with_type(op.type, [&]<class T>(T*) {
        launch(stream, grid, kThreads, nhwc ? normalise<true, T> : normalise<false, T>, images,
               args.out[0].as<T>());
      });
    });
  };
  return result;
}

}  // namespace resnet::cuda
