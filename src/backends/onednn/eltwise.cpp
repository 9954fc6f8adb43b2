#include <algorithm>

#include "backends/onednn/implementation.h"
#include "resnet/base/half.h"

namespace resnet::onednn {
namespace {

template <class T>
std::vector<const T*> pointers(std::span<const Tensor> tensors) {
  std::vector<const T*> result;
  for (const Tensor& t : tensors) result.push_back(t.as<T>());
  return result;
}

// Product of element i of all srcs but `except`.
template <class T>
float product(const std::vector<const T*>& srcs, int64_t i, size_t except) {
  float result = 1;
  for (size_t k = 0; k < srcs.size(); ++k) {
    if (k != except) result *= to_float(srcs[k][i]);
  }
  return result;
}

// The src that holds the maximum of element i: the first of equals.
template <class T>
size_t winner(const std::vector<const T*>& srcs, int64_t i) {
  size_t best = 0;
  for (size_t k = 1; k < srcs.size(); ++k) {
    if (to_float(srcs[k][i]) > to_float(srcs[best][i])) best = k;
  }
  return best;
}

template <class T>
Run sum_forward(const Eltwise& op, int64_t n, size_t inputs, bool accumulate) {
  std::vector<float> coeff(inputs, 1.0f);
  std::copy(op.coeff.begin(), op.coeff.end(), coeff.begin());
  const ActivationKernels<T>& kernels = activation_kernels<T>();
  return [=, &kernels, relu = op.relu](const KernelArgs& args) {
    const std::vector<const T*> srcs = pointers<T>(args.in);
    T* dst = args.out[0].as<T>();
    const bool stream = worth_streaming(dst, n * static_cast<int64_t>(sizeof(T)), {}) &&
                        std::find(srcs.begin(), srcs.end(), dst) == srcs.end();
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      kernels.weighted_sum(srcs.data(), coeff.data(), static_cast<int>(srcs.size()), begin,
                           dst + begin, end - begin, relu, accumulate, stream);
      vector_kernels().finish_streams();
    });
  };
}

template <class T>
Run select_forward(const Eltwise& op, int64_t n, bool accumulate) {
  return [=, kind = op.kind](const KernelArgs& args) {
    const std::vector<const T*> srcs = pointers<T>(args.in);
    T* dst = args.out[0].as<T>();
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float y = kind == Eltwise::Kind::prod ? product(srcs, i, srcs.size())
                                                    : to_float(srcs[winner(srcs, i)][i]);
        dst[i] = from_float<T>(accumulate ? to_float(dst[i]) + y : y);
      }
    });
  };
}

template <class T>
Run select_backward(const Eltwise& op, int64_t n, const OpDesc& desc) {
  return [=, kind = op.kind](const KernelArgs& args) {
    const T* diff_dst = args.in[0].as<T>();
    const std::vector<const T*> srcs = pointers<T>(args.in.subspan(1));
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      for (size_t k = 0; k < srcs.size(); ++k) {
        T* diff_src = args.out[k].as<T>();
        const bool accumulate = desc.accumulates(k);
        for (int64_t i = begin; i < end; ++i) {
          const float slope = kind == Eltwise::Kind::prod
                                  ? product(srcs, i, k)
                                  : static_cast<float>(winner(srcs, i) == k);
          diff_src[i] = from_float<T>((accumulate ? to_float(diff_src[i]) : 0.0f) +
                                      slope * to_float(diff_dst[i]));
        }
      }
    });
  };
}

}  // namespace

Implementation implement(const Eltwise& op, const OpDesc& desc, Layouts&) {
  const bool forward = desc.pass == Pass::forward;
  Implementation result{"", desc};
  std::vector<Slot> activations;
  for (int i = 0; i < static_cast<int>(desc.out.size()); ++i) {
    activations.push_back(out_slot(i));
    result.accumulable.push_back(i);
  }
  for (int i = 0; i < static_cast<int>(desc.in.size()); ++i) {
    activations.push_back(in_slot(i));
    if (forward) result.in_place.push_back({0, i});
  }
  const Layout layout = share_layout(result, activations);
  const int64_t n = result.desc.out[0].storage_count();
  result.make = [op, n, layout, resolved = result.desc, forward] {
    const bool accumulate = resolved.accumulates(0);
    const DType type = resolved.out[0].dtype;
    Run run = for_storage(type, [&]<class T>(T) {
      return !forward                        ? select_backward<T>(op, n, resolved)
             : op.kind == Eltwise::Kind::sum ? sum_forward<T>(op, n, resolved.in.size(), accumulate)
                                             : select_forward<T>(op, n, accumulate);
    });
    return own_kernel(own_impl(layout, type), 0, std::move(run));
  };
  return result;
}

}  // namespace resnet::onednn
