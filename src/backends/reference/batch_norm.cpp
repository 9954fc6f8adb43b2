// BatchNorm and UpdateStatistics.
#include <algorithm>
#include <cmath>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// Visits the elements of channel c in images [begin, end), in memory order: visit(index, n, y, x).
template <class Visit>
void for_pixels(const Image& s, int64_t begin, int64_t end, int64_t c, const Visit& visit) {
  for (int64_t n = begin; n < end; ++n) {
    for (int64_t y = 0; y < s.h; ++y) {
      for (int64_t x = 0; x < s.w; ++x) visit(s.at(n, c, y, x), n, y, x);
    }
  }
}
// visit(index)
template <class Visit>
void for_channel(const Image& s, int64_t begin, int64_t end, int64_t c, const Visit& visit) {
  for_pixels(s, begin, end, c, [&](int64_t i, int64_t, int64_t, int64_t) { visit(i); });
}

struct Moments {
  double mean, inverse_std;
};

// Fixed statistics: running sums divided by their factor.
struct FixedStatistics {
  In mean, variance, factor;
  explicit FixedStatistics(Inputs& in) : mean(in.take()), variance(in.take()), factor(in.take()) {}
  Moments of(int64_t c, double eps) const {
    const double scale = factor[0] == 0 ? 0 : 1 / factor[0];
    return {mean[c] * scale, 1 / std::sqrt(variance[c] * scale + eps)};
  }
};

// The saved tensor (G,2,C) of batch mode.
Moments saved_moments(const In& saved, int64_t channels, int64_t group, int64_t c) {
  return {saved[(group * 2) * channels + c], saved[(group * 2 + 1) * channels + c]};
}

struct Groups {
  int64_t count, images;
  Groups(const BatchNorm& op, const Image& s)
      : count(op.group_size == 0 ? 1 : s.n / op.group_size),
        images(op.group_size == 0 ? s.n : op.group_size) {}
};

// The addend of each element of dst, which add_stride takes from other places.
class Addend {
 public:
  Addend() = default;
  Addend(Inputs& in, const BatchNorm& op, const OpDesc& desc)
      : values_(in.take(op.add)), stride_(op.add_stride), dst_(desc.in[0].shape) {
    if (stride_ != 0) src_ = Image(desc.in.back().shape);
  }
  bool present() const { return values_.present(); }
  double operator[](int64_t i) const {
    if (stride_ == 0) return values_[i];
    const int64_t x = i % dst_.w, y = i / dst_.w % dst_.h, plane = i / (dst_.w * dst_.h);
    const int64_t c = plane % dst_.c, n = plane / dst_.c;
    return c < src_.c ? values_[src_.at(n, c, y * stride_, x * stride_)] : 0;
  }

 private:
  In values_;
  int64_t stride_ = 0;
  Image dst_{Shape{0}}, src_{Shape{0}};
};

// dst of one channel in one group from its moments. Rounds where BatchNorm, Scale, an addition and
// a ReLU on their own would store their results.
struct Normalize {
  const BatchNorm& op;
  const Image& s;
  const In &src, &gamma, &beta;
  const Addend& addend;
  const Tensor* mask;
  Out dst;
  DType type;

  void run(int64_t begin, int64_t end, int64_t c, Moments m) const {
    const double scale = gamma.get(c, 1), shift = beta.get(c, 0);
    for_channel(s, begin, end, c, [&](int64_t i) {
      double v = rounded(type, (src[i] - m.mean) * m.inverse_std);
      v = rounded(type, v * scale + shift);
      if (addend.present()) v = rounded(type, v + addend[i]);
      if (op.relu) v = std::max(v, 0.0);
      if (mask) set_bit(*mask, i, v > 0);
      dst.set(i, v);
    });
  }
};

void forward_batch(const BatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const Image s(desc.in[0].shape);
  const In src = in.take();
  const In gamma = in.take(op.gamma), beta = in.take(op.beta);
  const Addend addend(in, op, desc);
  const Out saved = output(desc, args, 1), stats = output(desc, args, 2);
  const DType saved_type = desc.out[1].dtype;
  const Normalize normalize{op,
                            s,
                            src,
                            gamma,
                            beta,
                            addend,
                            op.has_mask ? &args.out[3] : nullptr,
                            output(desc, args, 0),
                            desc.out[0].dtype};
  const Groups groups(op, s);
  const double m = static_cast<double>(groups.images * s.h * s.w);
  const double unbiased = m > 1 ? m / (m - 1) : 1;
  for (int64_t c = 0; c < s.c; ++c) {
    double mean_sum = 0, variance_sum = 0;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t begin = g * groups.images, end = begin + groups.images;
      double mean = 0, variance = 0;
      for_channel(s, begin, end, c, [&](int64_t i) { mean += src[i]; });
      mean /= m;
      for_channel(s, begin, end, c,
                  [&](int64_t i) { variance += (src[i] - mean) * (src[i] - mean); });
      variance /= m;
      mean_sum += mean;
      variance_sum += variance;
      // As recompute will read them.
      const Moments stored{rounded(saved_type, mean),
                           rounded(saved_type, 1 / std::sqrt(variance + op.eps))};
      saved.set((g * 2) * s.c + c, stored.mean);
      saved.set((g * 2 + 1) * s.c + c, stored.inverse_std);
      normalize.run(begin, end, c, stored);
    }
    const auto count = static_cast<double>(groups.count);
    stats.set(c, mean_sum / count);
    stats.set(s.c + c, variance_sum / count * unbiased);
  }
}

void forward_global(const BatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const Image s(desc.in[0].shape);
  const In src = in.take();
  const FixedStatistics statistics(in);
  const In gamma = in.take(op.gamma), beta = in.take(op.beta);
  const Addend addend(in, op, desc);
  const Normalize normalize{op,
                            s,
                            src,
                            gamma,
                            beta,
                            addend,
                            op.has_mask ? &args.out[1] : nullptr,
                            output(desc, args, 0),
                            desc.out[0].dtype};
  for (int64_t c = 0; c < s.c; ++c) normalize.run(0, s.n, c, statistics.of(c, op.eps));
}

void recompute(const BatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const Image s(desc.in[0].shape);
  const In src = in.take();
  const In saved = in.take(), gamma = in.take(op.gamma), beta = in.take(op.beta);
  const Addend addend;
  const Normalize normalize{
      op, s, src, gamma, beta, addend, nullptr, output(desc, args, 0), desc.out[0].dtype};
  const Groups groups(op, s);
  for (int64_t c = 0; c < s.c; ++c) {
    for (int64_t g = 0; g < groups.count; ++g) {
      normalize.run(g * groups.images, (g + 1) * groups.images, c, saved_moments(saved, s.c, g, c));
    }
  }
}

// With x = (src - mean) * inverse_std and dy = gamma * diff_dst (0 where the mask is 0), per group
// of m:
//   batch:  diff_src = inverse_std * (dy - mean(dy) - x * mean(dy * x))
//   global: diff_src = inverse_std * dy
void backward(const BatchNorm& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const In diff_dst = in.take();
  const Image s(desc.in[1].shape);
  const In src = in.take();
  const std::optional<FixedStatistics> fixed =
      op.global ? std::optional<FixedStatistics>(in) : std::nullopt;
  const In saved = in.take(!op.global), gamma = in.take(op.gamma);
  const Tensor* mask = in.take_mask(op.has_mask);
  const DType type = desc.out[0].dtype;
  const Out diff_src = output(desc, args, 0);
  size_t next = 1;
  const size_t gamma_at = next, beta_at = next += op.gamma, addend_at = next += op.beta;
  const bool pass_addend = op.add && op.relu;
  const Groups groups(op, s);
  const double m = static_cast<double>(groups.images * s.h * s.w);

  for (int64_t c = 0; c < s.c; ++c) {
    const double scale = gamma.get(c, 1);
    double diff_gamma = 0, diff_beta = 0;
    for (int64_t g = 0; g < groups.count; ++g) {
      const int64_t begin = g * groups.images, end = begin + groups.images;
      const Moments moments = fixed ? fixed->of(c, op.eps) : saved_moments(saved, s.c, g, c);
      const auto x = [&](int64_t i) {
        return rounded(type, (src[i] - moments.mean) * moments.inverse_std);
      };
      const auto d = [&](int64_t i) { return mask && !get_bit(*mask, i) ? 0.0 : diff_dst[i]; };
      double sum = 0, sum_x = 0;  // of dy and dy * x
      for_channel(s, begin, end, c, [&](int64_t i) {
        diff_gamma += d(i) * x(i);
        diff_beta += d(i);
        sum += rounded(type, d(i) * scale);
        sum_x += rounded(type, d(i) * scale) * x(i);
      });
      if (op.global) sum = sum_x = 0;
      for_channel(s, begin, end, c, [&](int64_t i) {
        const double gradient = d(i), dy = rounded(type, gradient * scale);
        diff_src.set(i, moments.inverse_std * (dy - sum / m - x(i) * (sum_x / m)));
        if (pass_addend && op.add_stride == 0) output(desc, args, addend_at).set(i, gradient);
      });
    }
    if (op.gamma) output(desc, args, gamma_at).set(c, diff_gamma);
    if (op.beta) output(desc, args, beta_at).set(c, diff_beta);
  }
  if (!pass_addend || op.add_stride == 0) return;
  const Image a(desc.out[addend_at].shape);
  const Out diff_addend = output(desc, args, addend_at);
  for (int64_t c = 0; c < a.c; ++c) {
    for_pixels(a, 0, a.n, c, [&](int64_t i, int64_t n, int64_t y, int64_t x) {
      const bool added = y % op.add_stride == 0 && x % op.add_stride == 0;
      const int64_t from = added ? s.at(n, c, y / op.add_stride, x / op.add_stride) : 0;
      diff_addend.set(i, added && !(mask && !get_bit(*mask, from)) ? diff_dst[from] : 0);
    });
  }
}

void update_statistics(const UpdateStatistics& op, const OpDesc& desc, const KernelArgs& args) {
  const In stats(args.in[0]);
  const int64_t channels = desc.in[0].shape[1];
  const auto move = [&](size_t i, int64_t at, double value) {
    output(desc, args, i)
        .set(at, op.fraction * load(args.out[i].desc.dtype, args.out[i].data, at) + value);
  };
  for (int64_t c = 0; c < channels; ++c) {
    move(0, c, stats[c]);
    move(1, c, stats[channels + c]);
  }
  move(2, 0, 1);
}

}  // namespace

Implementation implement(const BatchNorm& op, const OpDesc& desc) {
  switch (desc.pass) {
    case Pass::forward: {
      if (!op.global && (desc.accumulates(1) || desc.accumulates(2))) {
        return refuse("statistics cannot be accumulated");
      }
      Implementation result;
      if (op.global) {
        result.run = [=](const KernelArgs& a) { forward_global(op, desc, a); };
      } else {
        result.run = [=](const KernelArgs& a) { forward_batch(op, desc, a); };
      }
      result.in_place = {{0, 0}};
      if (op.add && op.add_stride == 0) {
        result.in_place.push_back({0, static_cast<int>(desc.in.size()) - 1});
      }
      return result;
    }
    case Pass::recompute:
      return {"", [=](const KernelArgs& a) { recompute(op, desc, a); }, {{0, 0}}};
    default:
      return {"", [=](const KernelArgs& a) { backward(op, desc, a); }, {{0, 0}}};
  }
}

Implementation implement(const UpdateStatistics& op, const OpDesc& desc) {
  if (desc.accumulates(0) || desc.accumulates(1) || desc.accumulates(2)) {
    return refuse("running statistics are updated, not accumulated");
  }
  return {"", [=](const KernelArgs& a) { update_statistics(op, desc, a); }, {}};
}

}  // namespace resnet::reference
