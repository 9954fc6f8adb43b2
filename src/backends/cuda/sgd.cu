// SgdUpdate.
#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

// In double as on the host, where a step is smaller than the spacing of the weights' floats.
__global__ void __launch_bounds__(kThreads)
    update(SgdUpdate op, const float* grad, const double* hyper, int64_t count, float* weights,
           float* history) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= count) return;
  const double rate = hyper[0], decay = hyper[1], momentum = hyper[2], scale = hyper[3];
  const auto w = static_cast<double>(weights[i]), h = static_cast<double>(history[i]);
  const double sign = static_cast<double>(w > 0) - static_cast<double>(w < 0);
  const double g = scale * static_cast<double>(grad[i]) + decay * (op.l1 ? sign : w);
  const auto rounded = static_cast<float>(momentum * h + rate * g);
  const auto after = static_cast<double>(rounded);
  history[i] = rounded;
  weights[i] =
      static_cast<float>(w - (op.nesterov ? (1 + momentum) * after - momentum * h : after));
}

}  // namespace

Implementation implement(const SgdUpdate& op, const OpDesc& desc) {
  Implementation result{.refusal = "", .desc = desc};
  for (const TensorDesc* t : {&desc.in[0], &desc.out[0], &desc.out[1]}) {
    if (result.refusal.empty()) result.refusal = refuse_unless_f32("gradient or weights", *t);
  }
  if (desc.in[1].dtype != DType::f64) result.refusal = "hyper is not f64";
  if (!result.refusal.empty()) return result;
  use_same_layout(result, {out_slot(0), out_slot(1), in_slot(0)});
  result.make = [op, count = desc.out[0].count()](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      launch(stream, blocks_for(count), kThreads, update, op, args.in[0].as<float>(),
             args.in[1].as<double>(), count, args.out[0].as<float>(), args.out[1].as<float>());
    });
  };
  return result;
}

}  // namespace resnet::cuda
