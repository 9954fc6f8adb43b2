// Relu, Dropout, and Scale along other axes than channels.
#include <cstring>

#include "backends/onednn/channelwise.h"
#include "resnet/base/half.h"
#include "resnet/base/random.h"

namespace resnet::onednn {
namespace {

// gamma's dimensions in the middle of src's.
struct ScaleView {
  int64_t outer, middle, inner;
  ScaleView(const Scale& op, const Shape& src) {
    const int axis = src.canonical_axis(op.axis);
    outer = src.count(0, axis);
    middle = src.count(axis, axis + op.num_axes);
    inner = src.count_from(axis + op.num_axes);
  }
  // Calls f(element, index into gamma) in parallel over gamma.
  template <class Function>
  void for_elements(int64_t m, const Function& f) const {
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i = 0; i < inner; ++i) f((o * middle + m) * inner + i);
    }
  }
};

template <class T>
void scale_forward(const Scale& op, const KernelArgs& args) {
  const ScaleView view(op, args.in[0].desc.shape);
  const T* src = args.in[0].as<T>();
  const float* gamma = args.in[1].as<float>();
  const float* beta = op.bias ? args.in[2].as<float>() : nullptr;
  T* dst = args.out[0].as<T>();
  parallel_for(view.middle, 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const float shift = beta == nullptr ? 0.0f : beta[m];
      view.for_elements(
          m, [&](int64_t i) { dst[i] = from_float<T>(to_float(src[i]) * gamma[m] + shift); });
    }
  });
}

template <class T>
void scale_backward(const Scale& op, const OpDesc& desc, const KernelArgs& args) {
  const ScaleView view(op, desc.in[1].shape);
  const T *diff_dst = args.in[0].as<T>(), *src = args.in[1].as<T>();
  const float* gamma = args.in[2].as<float>();
  T* diff_src = args.out[0].as<T>();
  const bool accumulate = desc.accumulates(0);
  parallel_for(view.middle, 1, [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      double sum = 0, product = 0;
      view.for_elements(m, [&](int64_t i) {
        const float d = to_float(diff_dst[i]);
        sum += d;
        product += static_cast<double>(d) * to_float(src[i]);
        diff_src[i] = from_float<T>((accumulate ? to_float(diff_src[i]) : 0.0f) + d * gamma[m]);
      });
      put(args.out[1], m, product, desc.accumulates(1));
      if (op.bias) put(args.out[2], m, sum, desc.accumulates(2));
    }
  });
}

// Images that share no byte of the mask with others.
constexpr int64_t kImagesPerByte = 8;

template <class T>
void dropout_forward(const Dropout& op, const KernelArgs& args) {
  const T* src = args.in[0].as<T>();
  const double* clock = args.in[1].as<double>();
  const auto seed = static_cast<uint64_t>(clock[0]), position = static_cast<uint64_t>(clock[1]);
  T* dst = args.out[0].as<T>();
  uint8_t* mask = args.out[1].as<uint8_t>();
  const Shape& shape = args.in[0].desc.shape;
  const int64_t images = shape[0], size = shape.count_from(1);
  const float scale = static_cast<float>(1 / (1 - op.ratio));
  std::memset(mask, 0, static_cast<size_t>((images * size + 7) / 8));
  parallel_for((images + kImagesPerByte - 1) / kImagesPerByte, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin * kImagesPerByte; n < std::min(end * kImagesPerByte, images); ++n) {
      Random random(seed, position + static_cast<uint64_t>(n), Use::dropout, op.layer_id);
      for (int64_t i = n * size; i < (n + 1) * size; ++i) {
        const bool keep = random.uniform() >= op.ratio;
        dst[i] = from_float<T>(keep ? to_float(src[i]) * scale : 0.0f);
        mask[i / 8] = static_cast<uint8_t>(mask[i / 8] | (keep ? 1u << (i % 8) : 0u));
      }
    }
  });
}

template <class T>
void dropout_backward(const Dropout& op, bool accumulate, const KernelArgs& args) {
  const T* diff_dst = args.in[0].as<T>();
  const uint8_t* mask = args.in[1].as<uint8_t>();
  T* diff_src = args.out[0].as<T>();
  const float scale = static_cast<float>(1 / (1 - op.ratio));
  parallel_flat(args.out[0].desc.count(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float d = ((mask[i / 8] >> (i % 8)) & 1) != 0 ? to_float(diff_dst[i]) * scale : 0.0f;
      diff_src[i] = from_float<T>(accumulate ? to_float(diff_src[i]) + d : d);
    }
  });
}

}  // namespace

Implementation implement(const Relu& op, const OpDesc& desc, Layouts&) {
  const bool forward = desc.pass == Pass::forward;
  Implementation result{"", desc, {{0, 0}}, {0}};
  // In backward the saved dst decides.
  const Layout layout = forward ? share_layout(result, {out_slot(0), in_slot(0)})
                                : share_layout(result, {in_slot(1), out_slot(0), in_slot(0)});
  if (!forward) result.in_place.push_back({0, 1});
  const auto slope = static_cast<float>(op.slope);
  const bool accumulate = desc.accumulates(0);
  const int64_t n = result.desc.out[0].storage_count();
  result.make = [=, type = result.desc.out[0].dtype] {
    Run run = for_storage(type, [=]<class T>(T) -> Run {
      const ActivationKernels<T>& kernels = activation_kernels<T>();
      return [=, &kernels](const KernelArgs& args) {
        T* out = args.out[0].as<T>();
        const T *a = args.in[0].as<T>(), *b = args.in.back().as<T>();
        parallel_flat(n, [=, &kernels](int64_t begin, int64_t end) {
          if (forward) {
            kernels.relu(a + begin, out + begin, end - begin, slope, accumulate);
          } else {
            kernels.relu_backward(a + begin, b + begin, out + begin, end - begin, slope,
                                  accumulate);
          }
        });
      };
    });
    return own_kernel(own_impl(layout, type), 0, std::move(run));
  };
  return result;
}

Implementation implement(const Scale& op, const OpDesc& desc, Layouts&) {
  const bool forward = desc.pass == Pass::forward;
  const Shape& src = desc.in[forward ? 0 : 1].shape;
  if (src.rank() >= 2 && src.canonical_axis(op.axis) == 1 && op.num_axes == 1) {
    return implement_channel_scale(op, desc);
  }
  Implementation result{"", desc, {{0, 0}}, {}};
  if (forward) {
    share_plain_layout(result, {out_slot(0), in_slot(0)});
  } else {
    share_plain_layout(result, {out_slot(0), in_slot(0), in_slot(1)});
    result.accumulable = {0, 1, 2};
  }
  result.make = [op, resolved = result.desc, forward] {
    Run run = for_storage(resolved.out[0].dtype, [=]<class T>(T) -> Run {
      return [=](const KernelArgs& args) {
        if (forward) {
          scale_forward<T>(op, args);
        } else {
          scale_backward<T>(op, resolved, args);
        }
      };
    });
    return own_kernel("plain", 0, std::move(run));
  };
  return result;
}

// Always row-major: nothing else tells backward in which order the mask's bits are.
Implementation implement(const Dropout& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc, {{0, 0}}, {}};
  share_plain_layout(result, {out_slot(0), in_slot(0)});
  if (desc.pass == Pass::backward) result.accumulable = {0};
  const bool accumulate = desc.accumulates(0);
  result.make = [=, pass = desc.pass, type = desc.out[0].dtype] {
    Run run = for_storage(type, [=]<class T>(T) -> Run {
      return [=](const KernelArgs& args) {
        if (pass == Pass::forward) {
          dropout_forward<T>(op, args);
        } else {
          dropout_backward<T>(op, accumulate, args);
        }
      };
    });
    return own_kernel("plain", 0, std::move(run));
  };
  return result;
}

}  // namespace resnet::onednn
