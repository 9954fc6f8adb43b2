// Softmax, SoftmaxLoss, CountLabels and Accuracy.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Visits each vector of scores along an axis: visit(number of the vector, index of score k as a
// function).
template <class Visit>
void for_vectors(const Axis& a, const Visit& visit) {
  for (int64_t o = 0; o < a.outer; ++o) {
    for (int64_t i = 0; i < a.inner; ++i) {
      visit(o * a.inner + i, [&a, o, i](int64_t k) { return a.at(o, k, i); });
    }
  }
}

// log(sum(exp(src))) of one vector, with the maximum taken out.
struct LogSum {
  double max = -std::numeric_limits<double>::infinity(), sum = 0;
  template <class At>
  LogSum(const In& src, int64_t count, const At& at) {
    for (int64_t k = 0; k < count; ++k) max = std::max(max, src[at(k)]);
    for (int64_t k = 0; k < count; ++k) sum += std::exp(src[at(k)] - max);
  }
  double probability(double x) const { return std::exp(x - max) / sum; }
  double log_probability(double x) const { return x - max - std::log(sum); }
};

void softmax_forward(const Softmax& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis a(desc.in[0].shape, op.axis);
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for_vectors(a, [&](int64_t, const auto& at) {
    const LogSum s(src, a.axis, at);
    for (int64_t k = 0; k < a.axis; ++k) dst.set(at(k), s.probability(src[at(k)]));
  });
}

void softmax_backward(const Softmax& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis a(desc.out[0].shape, op.axis);
  const In diff_dst(args.in[0]), dst(args.in[1]);
  const Out diff_src = output(desc, args, 0);
  for_vectors(a, [&](int64_t, const auto& at) {
    double dot = 0;
    for (int64_t k = 0; k < a.axis; ++k) dot += diff_dst[at(k)] * dst[at(k)];
    for (int64_t k = 0; k < a.axis; ++k) diff_src.set(at(k), dst[at(k)] * (diff_dst[at(k)] - dot));
  });
}

// What the labels of one batch mean for the loss.
class Targets {
 public:
  Targets(const SoftmaxLoss& op, const Axis& a, int64_t images, const Tensor& label,
          const Tensor* count)
      : op_(op), classes_(a.axis), label_(label) {
    const int64_t labels = a.outer * a.inner;
    double used = 0;
    for (int64_t i = 0; i < labels; ++i) used += !ignored(i);
    double base = 1;
    weight_ = static_cast<double>(images);
    switch (op.normalization) {
      case SoftmaxLoss::Normalization::valid:
        weight_ = used;
        base = count ? In(*count)[0] : used;
        break;
      case SoftmaxLoss::Normalization::full:
        base = weight_ = static_cast<double>(labels);
        break;
      case SoftmaxLoss::Normalization::batch:
        base = weight_;
        break;
      case SoftmaxLoss::Normalization::none:
        break;
    }
    normalizer_ = std::max(base * op.normalizer_scale, 1.0);
  }

  double normalizer() const { return normalizer_; }
  double weight() const { return weight_; }  // of the loss in an average over batches
  bool ignored(int64_t i) const { return op_.has_ignore && label(i) == op_.ignore_label; }
  bool valid(int64_t i) const { return label(i) >= 0 && label(i) < classes_; }
  // Share of class k in the target of vector i.
  double share(int64_t i, int64_t k) const {
    const double spread = op_.label_smoothing / static_cast<double>(classes_);
    return spread + (label(i) == k ? 1 - op_.label_smoothing : 0);
  }

 private:
  int64_t label(int64_t i) const { return static_cast<int64_t>(label_[i]); }

  const SoftmaxLoss& op_;
  int64_t classes_;
  In label_;
  double normalizer_, weight_;
};

void loss_forward(const SoftmaxLoss& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis a(desc.in[0].shape, op.axis);
  const Targets targets(op, a, desc.in[0].shape[0], args.in[1],
                        op.count_input ? &args.in[2] : nullptr);
  const In src(args.in[0]);
  const Out loss = output(desc, args, 0), prob = output(desc, args, 1);
  double total = 0;
  for_vectors(a, [&](int64_t i, const auto& at) {
    const LogSum s(src, a.axis, at);
    for (int64_t k = 0; k < a.axis; ++k) {
      const double share = targets.share(i, k);
      if (!targets.ignored(i) && share > 0) total -= share * s.log_probability(src[at(k)]);
      prob.set(at(k), s.probability(src[at(k)]));
    }
    if (!targets.ignored(i) && !targets.valid(i)) total = kNaN;
  });
  loss.set(0, total / targets.normalizer());
  loss.set(1, targets.weight());
}

void loss_backward(const SoftmaxLoss& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis a(desc.out[0].shape, op.axis);
  const Targets targets(op, a, desc.out[0].shape[0], args.in[1],
                        op.count_input ? &args.in[2] : nullptr);
  const In prob(args.in[0]);
  const Out diff_src = output(desc, args, 0);
  const double scale = op.loss_weight / targets.normalizer();
  for_vectors(a, [&](int64_t i, const auto& at) {
    for (int64_t k = 0; k < a.axis; ++k) {
      diff_src.set(at(k), targets.ignored(i) ? 0 : scale * (prob[at(k)] - targets.share(i, k)));
    }
  });
}

void count_labels(const CountLabels& op, const OpDesc& desc, const KernelArgs& args) {
  const In label(args.in[0]);
  double count = 0;
  for (int64_t i = 0; i < desc.in[0].count(); ++i) {
    count += static_cast<int64_t>(label[i]) != op.ignore_label;
  }
  output(desc, args, 0).set(0, count);
}

void accuracy(const Accuracy& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis a(desc.in[0].shape, op.axis);
  const In src(args.in[0]), labels(args.in[1]);
  double correct = 0, counted = 0;
  for_vectors(a, [&](int64_t i, const auto& at) {
    const auto label = static_cast<int64_t>(labels[i]);
    if (op.has_ignore && label == op.ignore_label) return;
    ++counted;
    if (label < 0 || label >= a.axis) {
      correct = kNaN;
      return;
    }
    int64_t rivals = 0;
    for (int64_t k = 0; k < a.axis; ++k) rivals += k != label && !(src[at(k)] < src[at(label)]);
    correct += rivals < op.top_k;
  });
  const Out dst = output(desc, args, 0);
  dst.set(0, counted == 0 ? 0 : correct / counted);
  dst.set(1, counted);
}

}  // namespace

Implementation implement(const Softmax& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { softmax_forward(op, desc, a); }, {{0, 0}}};
  }
  return {"", [=](const KernelArgs& a) { softmax_backward(op, desc, a); }, {{0, 0}}};
}

Implementation implement(const SoftmaxLoss& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { loss_forward(op, desc, a); }, {{1, 0}}};
  }
  return {"", [=](const KernelArgs& a) { loss_backward(op, desc, a); }, {{0, 0}}};
}

Implementation implement(const CountLabels& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { count_labels(op, desc, a); }, {}};
}

Implementation implement(const Accuracy& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { accuracy(op, desc, a); }, {}};
}

}  // namespace resnet::reference
