// FoldBatchNorm and UpdateStatistics.
#include <cmath>

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

// Operands of FoldBatchNorm; those that are absent are null.
struct Folding {
  const float *weights, *bias, *mean, *variance, *factor, *gamma, *beta;
  double eps;
  float *folded, *folded_bias;
};

// A block for each output channel, whose `size` weights lie behind each other.
__global__ void __launch_bounds__(kThreads) fold(Folding f, int64_t size) {
  const int64_t o = blockIdx.x;
  const auto sum = static_cast<double>(f.factor[0]);
  const double by = sum == 0 ? 0 : 1 / sum;
  const double gamma = f.gamma != nullptr ? static_cast<double>(f.gamma[o]) : 1;
  const double scale = gamma / sqrt(static_cast<double>(f.variance[o]) * by + f.eps);
  for (int64_t i = threadIdx.x; i < size; i += kThreads) {
    f.folded[o * size + i] =
        static_cast<float>(static_cast<double>(f.weights[o * size + i]) * scale);
  }
  if (threadIdx.x != 0) return;
  const double bias = f.bias != nullptr ? static_cast<double>(f.bias[o]) : 0;
  const double beta = f.beta != nullptr ? static_cast<double>(f.beta[o]) : 0;
  f.folded_bias[o] =
      static_cast<float>((bias - static_cast<double>(f.mean[o]) * by) * scale + beta);
}

__global__ void __launch_bounds__(kThreads)
    update_statistics(const float* stats, double fraction, int64_t channels, float* mean,
                      float* variance, float* factor) {
  const int64_t c = RESNET_THREAD_INDEX;
  const auto moved = [&](float old, float by) {
    return static_cast<float>(fraction * static_cast<double>(old) + static_cast<double>(by));
  };
  if (c == 0) factor[0] = moved(factor[0], 1);
  if (c >= channels) return;
  mean[c] = moved(mean[c], stats[c]);
  variance[c] = moved(variance[c], stats[channels + c]);
}

std::string refuse_unless_all_f32(const OpDesc& desc) {
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (std::string reason = refuse_unless_f32("an operand", t); !reason.empty()) return reason;
    }
  }
  return "";
}

}  // namespace

Implementation implement(const FoldBatchNorm& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_all_f32(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_same_layout(result, {in_slot(0), out_slot(0)});  // output channels are outermost in both
  const int64_t outputs = desc.in[0].shape[0], size = desc.in[0].shape.count_from(1);
  result.make = [=](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      size_t next = 0;
      const auto take = [&](bool present) {
        return present ? args.in[next++].as<const float>() : nullptr;
      };
      Folding f{};
      f.weights = take(true);
      f.bias = take(op.bias);
      f.mean = take(true);
      f.variance = take(true);
      f.factor = take(true);
      f.gamma = take(op.gamma);
      f.beta = take(op.beta);
      f.eps = op.eps;
      f.folded = args.out[0].as<float>();
      f.folded_bias = args.out[1].as<float>();
      launch(stream, static_cast<unsigned>(outputs), kThreads, fold, f, size);
    });
  };
  return result;
}

Implementation implement(const UpdateStatistics& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_all_f32(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  result.make = [fraction = op.fraction, channels = desc.in[0].shape[1]](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      launch(stream, blocks_for(std::max<int64_t>(channels, 1)), kThreads, update_statistics,
             args.in[0].as<float>(), fraction, channels, args.out[0].as<float>(),
             args.out[1].as<float>(), args.out[2].as<float>());
    });
  };
  return result;
}

}  // namespace resnet::cuda
