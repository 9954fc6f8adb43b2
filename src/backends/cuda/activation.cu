// Relu.
#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {
namespace {

template <class T>
__global__ void relu_forward(const T* src, float slope, int64_t count, T* dst) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= count) return;
  const float x = to_float(src[i]);
  dst[i] = from_float<T>(x > 0 ? x : slope * x);
}

template <class T>
__global__ void relu_backward(const T* diff_dst, const T* dst, float slope, int64_t count,
                              T* diff_src) {
  const int64_t i = RESNET_THREAD_INDEX;
  if (i >= count) return;
  const float diff = to_float(diff_dst[i]);
  diff_src[i] = from_float<T>(to_float(dst[i]) > 0 ? diff : slope * diff);
}

}  // namespace

Implementation implement(const Relu& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("src", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  const auto slope = static_cast<float>(op.slope);
  const int64_t count = desc.in[0].count();
  if (desc.pass == Pass::forward) {
    use_same_layout(result, {in_slot(0), out_slot(0)});
    result.in_place = {{0, 0}};
    result.make = [=, type = desc.in[0].dtype](const Device& device) {
      return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
        with_type(type, [&]<class T>(T*) {
          launch(stream, blocks_for(count), kThreads, relu_forward<T>, args.in[0].as<T>(), slope,
                 count, args.out[0].as<T>());
        });
      });
    };
    return result;
  }
  use_same_layout(result, {in_slot(1), in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}, {0, 1}};
  result.make = [=, type = desc.in[0].dtype](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_type(type, [&]<class T>(T*) {
        launch(stream, blocks_for(count), kThreads, relu_backward<T>, args.in[0].as<T>(),
               args.in[1].as<T>(), slope, count, args.out[0].as<T>());
      });
    });
  };
  return result;
}

}  // namespace resnet::cuda
