#include <algorithm>

#include "backends/onednn/implementation.h"

namespace resnet::onednn {
namespace {

std::vector<const float*> pointers(std::span<const Tensor> tensors) {
  std::vector<const float*> result;
  for (const Tensor& t : tensors) result.push_back(t.as<float>());
  return result;
}

// Product of element i of all srcs but `except`.
float product(const std::vector<const float*>& srcs, int64_t i, size_t except) {
  float result = 1;
  for (size_t k = 0; k < srcs.size(); ++k) {
    if (k != except) result *= srcs[k][i];
  }
  return result;
}

// The src that holds the maximum of element i: the first of equals.
size_t winner(const std::vector<const float*>& srcs, int64_t i) {
  size_t best = 0;
  for (size_t k = 1; k < srcs.size(); ++k) {
    if (srcs[k][i] > srcs[best][i]) best = k;
  }
  return best;
}

Run sum_forward(const Eltwise& op, int64_t n, size_t inputs, bool accumulate) {
  std::vector<float> coeff(inputs, 1.0f);
  std::copy(op.coeff.begin(), op.coeff.end(), coeff.begin());
  const FlatKernels& flat = vector_kernels().flat;
  return [=, relu = op.relu](const KernelArgs& args) {
    const std::vector<const float*> srcs = pointers(args.in);
    float* dst = args.out[0].as<float>();
    const bool stream =
        worth_streaming(dst, n, {}) && std::find(srcs.begin(), srcs.end(), dst) == srcs.end();
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      flat.weighted_sum(srcs.data(), coeff.data(), static_cast<int>(srcs.size()), begin,
                        dst + begin, end - begin, relu, accumulate, stream);
      vector_kernels().finish_streams();
    });
  };
}

Run select_forward(const Eltwise& op, int64_t n, bool accumulate) {
  return [=, kind = op.kind](const KernelArgs& args) {
    const std::vector<const float*> srcs = pointers(args.in);
    float* dst = args.out[0].as<float>();
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const float y =
            kind == Eltwise::Kind::prod ? product(srcs, i, srcs.size()) : srcs[winner(srcs, i)][i];
        dst[i] = accumulate ? dst[i] + y : y;
      }
    });
  };
}

Run select_backward(const Eltwise& op, int64_t n, const OpDesc& desc) {
  return [=, kind = op.kind](const KernelArgs& args) {
    const float* diff_dst = args.in[0].as<float>();
    const std::vector<const float*> srcs = pointers(args.in.subspan(1));
    parallel_flat(n, [&](int64_t begin, int64_t end) {
      for (size_t k = 0; k < srcs.size(); ++k) {
        float* diff_src = args.out[k].as<float>();
        const bool accumulate = desc.accumulates(k);
        for (int64_t i = begin; i < end; ++i) {
          const float slope = kind == Eltwise::Kind::prod
                                  ? product(srcs, i, k)
                                  : static_cast<float>(winner(srcs, i) == k);
          diff_src[i] = (accumulate ? diff_src[i] : 0.0f) + slope * diff_dst[i];
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
    Run run = !forward                        ? select_backward(op, n, resolved)
              : op.kind == Eltwise::Kind::sum ? sum_forward(op, n, resolved.in.size(), accumulate)
                                              : select_forward(op, n, accumulate);
    return own_kernel(own_impl(layout), 0, std::move(run));
  };
  return result;
}

}  // namespace resnet::onednn
