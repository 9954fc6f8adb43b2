// Convolution: the sums by cuDNN, what comes after them by own kernels.
#include "backends/cuda/column_sums.h"
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"
#include "backends/cuda/libraries.h"

namespace resnet::cuda {
namespace {

// dst = relu(dst + bias + addend), channels innermost; bias and addend may be null.
template <class T>
__global__ void __launch_bounds__(kThreads)
    finish(const float* bias, const T* addend, bool relu, int64_t channels, int64_t count, T* dst) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<T>], y[kPackOf<T>];
  piece.load(dst, x);
  if (bias != nullptr) {
    int64_t c = Quotient(piece.begin, channels).remainder;
    for (int e = 0; e < kPackOf<T>; ++e) {
      x[e] += bias[c];
      c = c + 1 == channels ? 0 : c + 1;
    }
  }
  if (addend != nullptr) {
    piece.load(addend, y);
    for (int e = 0; e < kPackOf<T>; ++e) x[e] += y[e];
  }
  if (relu) {
    for (int e = 0; e < kPackOf<T>; ++e) x[e] = x[e] < 0 ? 0.0F : x[e];  // NaN stays
  }
  piece.store(dst, x, false);
}

// The pass without what the library does not compute.
OpDesc sums_only(const OpDesc& desc) {
  OpDesc sums{desc.op, desc.pass, {desc.in[0], desc.in[1]}, {desc.out[0]}, {desc.accumulates(0)}};
  auto& op = std::get<Convolution>(sums.op);
  op.bias = op.sum = op.relu = false;
  return sums;
}

std::string refuse_types(const OpDesc& desc) {
  const auto& op = std::get<Convolution>(desc.op);
  std::string reason = refuse_unless_real("an image", desc.in[0]);
  if (op.bias && reason.empty()) {
    reason = refuse_unless_f32("bias", desc.pass == Pass::forward ? desc.in[2] : desc.out[1]);
  }
  if (op.sum && reason.empty() && desc.in.back().dtype != desc.in[0].dtype) {
    reason = "addend and src have different types";
  }
  return reason;
}

Implementation forward(const Convolution& op, Implementation result) {
  const OpDesc& desc = result.desc;
  std::vector<Slot> images{in_slot(0), in_slot(1), out_slot(0)};
  if (op.sum) images.push_back(in_slot(static_cast<int>(desc.in.size()) - 1));
  use_nhwc(result, images);
  if (!op.relu) result.accumulable = {0};
  result.make = [=, desc = result.desc](const Device& device) {
    const auto plan = plan_convolution(device, sums_only(desc));
    const int64_t channels = desc.out[0].shape[1], count = desc.out[0].count();
    const bool finishing = op.bias || op.sum || op.relu;
    return own_kernel(
        plan->impl(), plan->scratch_bytes(),
        [=, type = desc.out[0].dtype, stream = device.stream()](const KernelArgs& args) {
          plan->run(args.in[0].data, args.in[1].data, args.out[0].data, args.scratch);
          if (!finishing) return;
          const float* bias = op.bias ? args.in[2].as<float>() : nullptr;
          with_type(type, [&]<class T>(T*) {
            const T* addend = op.sum ? args.in.back().as<T>() : nullptr;
            launch(stream, blocks_for_pieces<T>(count), kThreads, finish<T>, bias, addend, op.relu,
                   channels, count, args.out[0].as<T>());
          });
        });
  };
  return result;
}

Implementation backward_data(Implementation result) {
  use_nhwc(result, {in_slot(0), in_slot(1), out_slot(0)});
  result.accumulable = {0};
  result.make = [desc = result.desc](const Device& device) {
    const auto plan = plan_convolution(device, sums_only(desc));
    return own_kernel(plan->impl(), plan->scratch_bytes(), [=](const KernelArgs& args) {
      plan->run(args.in[0].data, args.in[1].data, args.out[0].data, args.scratch);
    });
  };
  return result;
}

Implementation backward_weights(const Convolution& op, Implementation result) {
  use_nhwc(result, {in_slot(0), in_slot(1), out_slot(0)});
  result.accumulable = {0};
  if (op.bias) result.accumulable.push_back(1);
  result.make = [bias = op.bias, desc = result.desc](const Device& device) {
    const auto plan = plan_convolution(device, sums_only(desc));
    const Pixels pixels(desc.in[1].shape);
    ScratchPlan scratch;
    scratch.take<std::byte>(plan->scratch_bytes());
    const int64_t partial =
        bias ? scratch.take<float>(column_sums_scratch(pixels.rows(), pixels.channels)) : 0;
    return own_kernel(plan->impl(), scratch.bytes(),
                      [=, type = desc.in[1].dtype, add = desc.accumulates(1),
                       stream = device.stream()](const KernelArgs& args) {
                        plan->run(args.in[0].data, args.in[1].data, args.out[0].data, args.scratch);
                        if (!bias) return;
                        with_type(type, [&]<class T>(T*) {
                          column_sums(stream, args.in[1].as<const T>(), pixels.rows(),
                                      pixels.channels,
                                      reinterpret_cast<float*>(args.scratch + partial),
                                      {args.out[1].as<float>(), add});
                        });
                      });
  };
  return result;
}

}  // namespace

Implementation implement(const Convolution& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_types(desc), .desc = desc};
  if (result.refusal.empty()) result.refusal = refuse_convolution(sums_only(desc));
  if (!result.refusal.empty()) return result;
  switch (desc.pass) {
    case Pass::forward:
      return forward(op, std::move(result));
    case Pass::backward_data:
      return backward_data(std::move(result));
    default:
      return backward_weights(op, std::move(result));
  }
}

}  // namespace resnet::cuda
