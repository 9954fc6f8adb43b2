// Eltwise.
#include "backends/cuda/elementwise.h"
#include "backends/cuda/implementation.h"

namespace resnet::cuda {
namespace {

constexpr int kMostInputs = 16;  // they are parameters of a kernel

template <class T>
struct Inputs {
  const T* src[kMostInputs];
};
template <class T>
struct Outputs {
  T* diff[kMostInputs];
};

struct Sum {
  float coeff[kMostInputs];
  bool relu;
  __device__ float first(float x) const { return coeff[0] * x; }
  __device__ float next(float sum, int k, float x) const { return sum + coeff[k] * x; }
  __device__ float last(float sum) const { return relu && sum < 0 ? 0.0F : sum; }  // NaN stays
};
struct Product {
  __device__ float first(float x) const { return x; }
  __device__ float next(float product, int, float x) const { return product * x; }
  __device__ float last(float product) const { return product; }
};
struct Maximum {
  __device__ float first(float x) const { return x; }
  __device__ float next(float most, int, float x) const { return x > most ? x : most; }
  __device__ float last(float most) const { return most; }
};

template <class T, class Rule>
__global__ void __launch_bounds__(kThreads)
    eltwise_forward(Rule rule, Inputs<T> in, int n, bool accumulate, int64_t count, T* dst) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float x[kPackOf<T>], result[kPackOf<T>];
  piece.load(in.src[0], x);
  for (int e = 0; e < kPackOf<T>; ++e) result[e] = rule.first(x[e]);
  for (int k = 1; k < n; ++k) {
    piece.load(in.src[k], x);
    for (int e = 0; e < kPackOf<T>; ++e) result[e] = rule.next(result[e], k, x[e]);
  }
  for (int e = 0; e < kPackOf<T>; ++e) result[e] = rule.last(result[e]);
  piece.store(dst, result, accumulate);
}

// diff_src[k] = diff_dst times the product of the other inputs. Inputs come from the cache after the first
// time.
template <class T>
__global__ void __launch_bounds__(kThreads)
    product_backward(const T* diff_dst, Inputs<T> in, int n, unsigned accumulate, int64_t count,
                     Outputs<T> out) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float diff[kPackOf<T>], x[kPackOf<T>], product[kPackOf<T>];
  piece.load(diff_dst, diff);
  for (int k = 0; k < n; ++k) {
    for (int e = 0; e < kPackOf<T>; ++e) product[e] = diff[e];
    for (int j = 0; j < n; ++j) {
      if (j == k) continue;
      piece.load(in.src[j], x);
      for (int e = 0; e < kPackOf<T>; ++e) product[e] *= x[e];
    }
    piece.store(out.diff[k], product, (accumulate >> k & 1u) != 0);
  }
}

// The gradient goes to the first input that holds the maximum.
template <class T>
__global__ void __launch_bounds__(kThreads)
    maximum_backward(const T* diff_dst, Inputs<T> in, int n, unsigned accumulate, int64_t count,
                     Outputs<T> out) {
  const auto piece = this_piece<T>(count);
  if (piece.begin >= count) return;
  float diff[kPackOf<T>], x[kPackOf<T>], most[kPackOf<T>];
  int winner[kPackOf<T>];
  piece.load(diff_dst, diff);
  piece.load(in.src[0], most);
  for (int e = 0; e < kPackOf<T>; ++e) winner[e] = 0;
  for (int k = 1; k < n; ++k) {
    piece.load(in.src[k], x);
    for (int e = 0; e < kPackOf<T>; ++e) {
      if (x[e] > most[e]) winner[e] = k;
      if (x[e] > most[e]) most[e] = x[e];
    }
  }
  for (int k = 0; k < n; ++k) {
    for (int e = 0; e < kPackOf<T>; ++e) x[e] = winner[e] == k ? diff[e] : 0.0F;
    piece.store(out.diff[k], x, (accumulate >> k & 1u) != 0);
  }
}

struct Problem {
  Eltwise op;
  DType type;
  int n;  // inputs of the forward pass
  int64_t count;
  unsigned accumulate;  // bit k: output k
};

template <class T>
Inputs<T> inputs(const KernelArgs& args, int first, int n) {
  Inputs<T> in{};
  for (int k = 0; k < n; ++k) in.src[k] = args.in[static_cast<size_t>(first + k)].as<T>();
  return in;
}

template <class T>
void run_forward(cudaStream_t stream, const Problem& p, const KernelArgs& args) {
  const auto go = [&]<class Rule>(const Rule& rule) {
    launch(stream, blocks_for_pieces<T>(p.count), kThreads, eltwise_forward<T, Rule>, rule,
           inputs<T>(args, 0, p.n), p.n, p.accumulate != 0, p.count, args.out[0].as<T>());
  };
  if (p.op.kind == Eltwise::Kind::prod) return go(Product{});
  if (p.op.kind == Eltwise::Kind::max) return go(Maximum{});
  Sum sum{};
  for (int k = 0; k < p.n; ++k) {
    sum.coeff[k] =
        p.op.coeff.empty() ? 1.0F : static_cast<float>(p.op.coeff[static_cast<size_t>(k)]);
  }
  sum.relu = p.op.relu;
  go(sum);
}

template <class T>
void run_backward(cudaStream_t stream, const Problem& p, const KernelArgs& args) {
  Outputs<T> out{};
  for (int k = 0; k < p.n; ++k) out.diff[k] = args.out[static_cast<size_t>(k)].as<T>();
  const auto kernel = p.op.kind == Eltwise::Kind::prod ? product_backward<T> : maximum_backward<T>;
  launch(stream, blocks_for_pieces<T>(p.count), kThreads, kernel, args.in[0].as<T>(),
         inputs<T>(args, 1, p.n), p.n, p.accumulate, p.count, out);
}

}  // namespace

Implementation implement(const Eltwise& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_unless_real("an input", desc.in[0]), .desc = desc};
  if (!result.refusal.empty()) return result;
  const bool forward = desc.pass == Pass::forward;
  Problem p{op, desc.in[0].dtype, static_cast<int>(desc.in.size()) - (forward ? 0 : 1),
            desc.in[0].count(), 0};
  if (p.n > kMostInputs) {
    return refuse(desc,
                  std::to_string(p.n) + " inputs; cuda takes up to " + std::to_string(kMostInputs));
  }
  std::vector<Slot> images;
  for (size_t i = 0; i < desc.in.size(); ++i) {
    if (desc.in[i].dtype != p.type) return refuse(desc, "inputs of different types");
    images.push_back(in_slot(static_cast<int>(i)));
  }
  for (size_t i = 0; i < desc.out.size(); ++i) {
    images.push_back(out_slot(static_cast<int>(i)));
    result.accumulable.push_back(static_cast<int>(i));
    if (desc.accumulates(i)) p.accumulate |= 1u << i;
  }
  use_same_layout(result, images);
  for (int k = 0; forward && k < p.n; ++k) result.in_place.emplace_back(0, k);
  result.make = [p, forward](const Device& device) {
    return own_kernel("own", 0, [p, forward, stream = device.stream()](const KernelArgs& args) {
      with_type(p.type, [&]<class T>(T*) {
        forward ? run_forward<T>(stream, p, args) : run_backward<T>(stream, p, args);
      });
    });
  };
  return result;
}

}  // namespace resnet::cuda
