// Plain loops in the place of cuDNN and cuBLAS. Sums are kept in double.
#include "backends/cuda/libraries.h"

#include <algorithm>
#include <vector>

#include "backends/cuda/device.h"
#include "backends/cuda/status.h"
#include "resnet/base/half.h"
#include "resnet/base/parallel.h"

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(RESNET_STD_THREADS)
#define EMULATION_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define EMULATION_CLONES
#endif

namespace resnet::cuda {
namespace {

// sums[i] += factor * values[i]
EMULATION_CLONES void add_scaled(double* sums, const float* values, double factor, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sums[i] += factor * static_cast<double>(values[i]);
}

EMULATION_CLONES double dot(const float* a, const float* b, int64_t n) {
  constexpr int kLanes = 8;
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      sums[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
    }
  }
  for (; i < n; ++i) sums[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

template <class T>
std::vector<float> floats(const void* data, int64_t n) {
  std::vector<float> values(static_cast<size_t>(n));
  std::transform(static_cast<const T*>(data), static_cast<const T*>(data) + n, values.begin(),
                 [](T v) { return to_float(v); });
  return values;
}

std::vector<float> floats(DType type, const void* data, int64_t n) {
  if (type == DType::bf16) return floats<bf16>(data, n);
  if (type == DType::f16) return floats<f16>(data, n);
  return floats<float>(data, n);
}

template <class T>
void store(T* out, const double* sums, int64_t n, bool accumulate) {
  for (int64_t i = 0; i < n; ++i) {
    const double before = accumulate ? static_cast<double>(to_float(out[i])) : 0;
    out[i] = from_float<T>(static_cast<float>(before + sums[i]));
  }
}

void store(DType type, void* out, int64_t at, const std::vector<double>& sums, bool accumulate) {
  const auto n = static_cast<int64_t>(sums.size());
  if (type == DType::bf16) return store(static_cast<bf16*>(out) + at, sums.data(), n, accumulate);
  if (type == DType::f16) return store(static_cast<f16*>(out) + at, sums.data(), n, accumulate);
  store(static_cast<float*>(out) + at, sums.data(), n, accumulate);
}

struct Extents {
  int64_t n, c, h, w;
  explicit Extents(const Shape& s) : n(s[0]), c(s[1]), h(s[2]), w(s[3]) {}
  int64_t count() const { return n * c * h * w; }
};

// The geometry of a convolution: src, weights (O, C/groups, kh, kw) and dst, channels innermost.
class Loops {
 public:
  Loops(const Convolution& op, const Shape& src, const Shape& weights, const Shape& dst)
      : op_(op), s_(src), k_(weights), d_(dst), outputs_(d_.c / op.groups) {}

  void forward(DType type, const void* src_data, const void* weights_data, void* dst,
               bool accumulate) const {
    const std::vector<float> src = floats(type, src_data, s_.count());
    const std::vector<float> weights = outputs_innermost(floats(type, weights_data, k_.count()));
    parallel_for(d_.n * d_.h, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(d_.c));
      for (int64_t row = begin; row < end; ++row) {
        for (int64_t x = 0; x < d_.w; ++x) {
          std::fill(sums.begin(), sums.end(), 0.0);
          for_each_tap(row % d_.h, x, [&](int64_t tap, int64_t sy, int64_t sx) {
            const float* from = &src[at(pixel(s_, row / d_.h, sy, sx) * s_.c)];
            for (int64_t c = 0; c < s_.c; ++c) {
              add_scaled(&sums[at(c / k_.c * outputs_)], &weights[at((tap * s_.c + c) * outputs_)],
                         static_cast<double>(from[c]), outputs_);
            }
          });
          store(type, dst, (row * d_.w + x) * d_.c, sums, accumulate);
        }
      }
    });
  }

  void backward_data(DType type, const void* diff_dst_data, const void* weights_data,
                     void* diff_src, bool accumulate) const {
    const std::vector<float> diff_dst = floats(type, diff_dst_data, d_.count());
    const std::vector<float> weights = floats(type, weights_data, k_.count());
    parallel_for(s_.n, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(s_.h * s_.w * s_.c));
      for (int64_t n = begin; n < end; ++n) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t p = 0; p < d_.h * d_.w; ++p) {
          const float* from = &diff_dst[at((n * d_.h * d_.w + p) * d_.c)];
          for_each_tap(p / d_.w, p % d_.w, [&](int64_t tap, int64_t sy, int64_t sx) {
            double* to = &sums[at((sy * s_.w + sx) * s_.c)];
            for (int64_t o = 0; o < d_.c; ++o) {
              add_scaled(to + o / outputs_ * k_.c, &weights[at((o * taps() + tap) * k_.c)],
                         static_cast<double>(from[o]), k_.c);
            }
          });
        }
        store(type, diff_src, n * s_.h * s_.w * s_.c, sums, accumulate);
      }
    });
  }

  void backward_weights(DType type, const void* src_data, const void* diff_dst_data,
                        void* diff_weights, bool accumulate) const {
    const std::vector<float> src = floats(type, src_data, s_.count());
    const std::vector<float> diff_dst = floats(type, diff_dst_data, d_.count());
    parallel_for(d_.c, 1, [&](int64_t begin, int64_t end) {
      std::vector<double> sums(static_cast<size_t>(taps() * k_.c));
      for (int64_t o = begin; o < end; ++o) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int64_t p = 0; p < d_.n * d_.h * d_.w; ++p) {
          const auto factor = static_cast<double>(diff_dst[at(p * d_.c + o)]);
          for_each_tap(p / d_.w % d_.h, p % d_.w, [&](int64_t tap, int64_t sy, int64_t sx) {
            const int64_t from = pixel(s_, p / (d_.h * d_.w), sy, sx) * s_.c;
            add_scaled(&sums[at(tap * k_.c)], &src[at(from + o / outputs_ * k_.c)], factor, k_.c);
          });
        }
        store(DType::f32, diff_weights, o * taps() * k_.c, sums, accumulate);
      }
    });
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }
  static int64_t pixel(const Extents& e, int64_t n, int64_t y, int64_t x) {
    return (n * e.h + y) * e.w + x;
  }
  int64_t taps() const { return k_.h * k_.w; }

  // Calls f(tap, y, x) for the positions in src, outside of the padding, that dst (y, x) depends on.
  template <class F>
  void for_each_tap(int64_t y, int64_t x, const F& f) const {
    for (int64_t i = 0; i < k_.h; ++i) {
      const int64_t sy = y * op_.stride[0] + i * op_.dilation[0] - op_.pad[0];
      if (sy < 0 || sy >= s_.h) continue;
      for (int64_t j = 0; j < k_.w; ++j) {
        const int64_t sx = x * op_.stride[1] + j * op_.dilation[1] - op_.pad[1];
        if (sx >= 0 && sx < s_.w) f(i * k_.w + j, sy, sx);
      }
    }
  }

  // (O, kh, kw, C/groups) as (kh, kw, C, O/groups).
  std::vector<float> outputs_innermost(const std::vector<float>& weights) const {
    std::vector<float> turned(weights.size());
    for (int64_t o = 0; o < d_.c; ++o) {
      for (int64_t tap = 0; tap < taps(); ++tap) {
        for (int64_t c = 0; c < k_.c; ++c) {
          const int64_t channel = o / outputs_ * k_.c + c;
          turned[at((tap * s_.c + channel) * outputs_ + o % outputs_)] =
              weights[at((o * taps() + tap) * k_.c + c)];
        }
      }
    }
    return turned;
  }

  Convolution op_;
  Extents s_, k_, d_;
  int64_t outputs_;  // of a group
};

class LoopsPlan final : public ConvolutionPlan {
 public:
  LoopsPlan(cudaStream_t stream, const OpDesc& desc)
      : stream_(stream),
        pass_(desc.pass),
        type_(desc.in[0].dtype),
        accumulate_(desc.accumulates(0)),
        loops_(make(desc)) {}
  std::string impl() const override { return "loops"; }
  int64_t scratch_bytes() const override { return 0; }

  void run(const void* a, const void* b, void* out, std::byte*) const override {
    // A captured graph may outlive the plan.
    const auto work = [=, loops = loops_, pass = pass_, type = type_, accumulate = accumulate_] {
      if (pass == Pass::forward) return loops.forward(type, a, b, out, accumulate);
      if (pass == Pass::backward_data) return loops.backward_data(type, a, b, out, accumulate);
      loops.backward_weights(type, a, b, out, accumulate);
    };
    check(cuda_emulation::enqueue(stream_, work), "a convolution");
  }

 private:
  static Loops make(const OpDesc& desc) {
    const auto& op = std::get<Convolution>(desc.op);
    const Shape &a = desc.in[0].shape, &b = desc.in[1].shape, &out = desc.out[0].shape;
    if (desc.pass == Pass::forward) return {op, a, b, out};
    if (desc.pass == Pass::backward_data) return {op, out, b, a};
    return {op, a, out, b};
  }

  cudaStream_t stream_;
  Pass pass_;
  DType type_;
  bool accumulate_;
  Loops loops_;
};

class PlainLibraries final : public Libraries {
 public:
  std::string description() const override { return "plain loops for cuDNN and cuBLAS"; }
};

std::vector<float> matrix(const float* values, bool transposed, int64_t rows, int64_t columns) {
  std::vector<float> m(values, values + rows * columns);
  if (!transposed) return m;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      m[static_cast<size_t>(r * columns + c)] = values[c * rows + r];
    }
  }
  return m;
}

}  // namespace

std::unique_ptr<Libraries> make_libraries(const Device&) {
  return std::make_unique<PlainLibraries>();
}

std::string refuse_convolution(const OpDesc& desc) {
  const DType type = desc.in[0].dtype;
  if (type != DType::f32 && type != DType::bf16 && type != DType::f16) {
    return std::string("a convolution in ") + name_of(type);
  }
  const DType out = desc.pass == Pass::backward_weights ? DType::f32 : type;
  if (desc.in[1].dtype != type || desc.out[0].dtype != out) {
    return std::string("the tensors of a convolution have types ") + name_of(type) + ", " +
           name_of(desc.in[1].dtype) + " and " + name_of(desc.out[0].dtype);
  }
  if (desc.in[0].shape.rank() != 4) return "a convolution of " + desc.in[0].str();
  return "";
}

std::shared_ptr<const ConvolutionPlan> plan_convolution(const Device& device, const OpDesc& desc) {
  return std::make_shared<LoopsPlan>(device.stream(), desc);
}

void gemm(const Device& device, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c) {
  const auto work = [=] {
    const std::vector<float> rows = matrix(a, transpose_a, m, k);
    const std::vector<float> columns = matrix(b, !transpose_b, n, k);
    parallel_for(m, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          const double product = alpha * dot(rows.data() + i * k, columns.data() + j * k, k);
          float& out = c[i * n + j];
          // As in BLAS, C is not read when beta is 0.
          out = static_cast<float>(beta == 0 ? product : product + static_cast<double>(beta) * out);
        }
      }
    });
  };
  check(cuda_emulation::enqueue(device.stream(), work), "a product of matrices");
}

}  // namespace resnet::cuda
