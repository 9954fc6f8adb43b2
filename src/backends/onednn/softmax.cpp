// Softmax, SoftmaxLoss, CountLabels and Accuracy: small tensors, plain loops.
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/onednn/implementation.h"

namespace resnet::onednn {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Row-major vectors along an axis: element k of vector v is data[first(v) + k * inner].
struct Vectors : AxisView {
  using AxisView::AxisView;
  int64_t count() const { return outer * inner; }
  int64_t first(int64_t v) const { return v / inner * axis * inner + v % inner; }

  // Calls f(vector, first element) in parallel.
  template <class Function>
  void for_each(const Function& f) const {
    constexpr int64_t kGrainElements = 2048;
    parallel_for(count(), std::max<int64_t>(1, kGrainElements / std::max<int64_t>(axis, 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t v = begin; v < end; ++v) f(v, first(v));
                 });
  }
};

// Fills prob[0], prob[stride], .. with the softmax of src; returns log of the sum of exp(src).
double softmax(const float* src, float* prob, int64_t n, int64_t stride) {
  float max = -std::numeric_limits<float>::infinity();
  for (int64_t k = 0; k < n; ++k) max = std::max(max, src[k * stride]);
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) {
    prob[k * stride] = std::exp(src[k * stride] - max);
    sum += prob[k * stride];
  }
  const auto scale = static_cast<float>(1 / sum);
  for (int64_t k = 0; k < n; ++k) prob[k * stride] *= scale;
  return max + std::log(sum);
}

Run softmax_forward(const Vectors& vectors) {
  return [=](const KernelArgs& args) {
    const float* src = args.in[0].as<float>();
    float* dst = args.out[0].as<float>();
    vectors.for_each([&](int64_t, int64_t first) {
      softmax(src + first, dst + first, vectors.axis, vectors.inner);
    });
  };
}

Run softmax_backward(const Vectors& vectors, bool accumulate) {
  return [=](const KernelArgs& args) {
    const float *diff_dst = args.in[0].as<float>(), *dst = args.in[1].as<float>();
    float* diff_src = args.out[0].as<float>();
    vectors.for_each([&](int64_t, int64_t first) {
      const int64_t end = first + vectors.axis * vectors.inner;
      double dot = 0;
      for (int64_t i = first; i < end; i += vectors.inner) {
        dot += static_cast<double>(diff_dst[i]) * dst[i];
      }
      for (int64_t i = first; i < end; i += vectors.inner) {
        const auto d = static_cast<float>(dst[i] * (diff_dst[i] - dot));
        diff_src[i] = accumulate ? diff_src[i] + d : d;
      }
    });
  };
}

// Labels of one batch and what they mean for the loss.
class Targets {
 public:
  Targets(const SoftmaxLoss& op, const Vectors& vectors, int64_t images, const KernelArgs& args)
      : op_(op), classes_(vectors.axis), labels_(args.in[1].as<float>()) {
    const int64_t all = vectors.count();
    const auto used = static_cast<double>(
        op.has_ignore
            ? all - std::count_if(labels_, labels_ + all, [&](float l) { return is_ignored(l); })
            : all);
    double base = 1;
    weight_ = static_cast<double>(images);
    switch (op.normalization) {
      case SoftmaxLoss::Normalization::valid:
        weight_ = used;
        base = op.count_input ? static_cast<double>(*args.in[2].as<float>()) : used;
        break;
      case SoftmaxLoss::Normalization::full:
        base = weight_ = static_cast<double>(all);
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
  bool ignored(int64_t v) const { return op_.has_ignore && is_ignored(labels_[v]); }
  bool valid(int64_t v) const { return label(v) >= 0 && label(v) < classes_; }
  int64_t label(int64_t v) const { return static_cast<int64_t>(labels_[v]); }
  // Share of every class, and what the label's has more.
  double spread() const { return op_.label_smoothing / static_cast<double>(classes_); }
  double extra() const { return 1 - op_.label_smoothing; }

 private:
  bool is_ignored(float label) const { return static_cast<int64_t>(label) == op_.ignore_label; }

  const SoftmaxLoss& op_;
  int64_t classes_;
  const float* labels_;
  double normalizer_, weight_;
};

// One loss per vector goes to scratch; they are added in order.
Run loss_forward(const SoftmaxLoss& op, const Vectors& vectors, int64_t images) {
  return [=](const KernelArgs& args) {
    const Targets targets(op, vectors, images, args);
    const float* src = args.in[0].as<float>();
    float* prob = args.out[1].as<float>();
    auto* losses = reinterpret_cast<double*>(args.scratch);
    const bool smooth = op.label_smoothing != 0;
    vectors.for_each([&](int64_t v, int64_t first) {
      // prob may share memory with src: take what the loss needs before.
      double total = 0, at_label = kNaN;
      if (smooth) {
        for (int64_t k = 0; k < vectors.axis; ++k) total += src[first + k * vectors.inner];
      }
      if (targets.valid(v)) at_label = src[first + targets.label(v) * vectors.inner];
      const double log_sum = softmax(src + first, prob + first, vectors.axis, vectors.inner);
      const auto classes = static_cast<double>(vectors.axis);
      losses[v] = targets.ignored(v) ? 0
                                     : targets.extra() * (log_sum - at_label) +
                                           targets.spread() * (classes * log_sum - total);
    });
    double loss = 0;
    for (int64_t v = 0; v < vectors.count(); ++v) loss += losses[v];
    float* out = args.out[0].as<float>();
    out[0] = static_cast<float>(loss / targets.normalizer());
    out[1] = static_cast<float>(targets.weight());
  };
}

Run loss_backward(const SoftmaxLoss& op, const Vectors& vectors, int64_t images, bool accumulate) {
  return [=](const KernelArgs& args) {
    const Targets targets(op, vectors, images, args);
    const float* prob = args.in[0].as<float>();
    float* diff_src = args.out[0].as<float>();
    const double scale = op.loss_weight / targets.normalizer();
    vectors.for_each([&](int64_t v, int64_t first) {
      const double used = targets.ignored(v) ? 0 : scale;
      const int64_t label = targets.label(v);
      for (int64_t k = 0; k < vectors.axis; ++k) {
        const int64_t i = first + k * vectors.inner;
        const double share = targets.spread() + (k == label ? targets.extra() : 0);
        const auto d = static_cast<float>(used * (prob[i] - share));
        diff_src[i] = accumulate ? diff_src[i] + d : d;
      }
    });
  };
}

void count_labels(const CountLabels& op, const KernelArgs& args) {
  const float* labels = args.in[0].as<float>();
  const int64_t n = args.in[0].desc.count();
  const auto used = n - std::count_if(labels, labels + n, [&](float label) {
                      return static_cast<int64_t>(label) == op.ignore_label;
                    });
  *args.out[0].as<float>() = static_cast<float>(used);
}

void accuracy(const Accuracy& op, const Vectors& vectors, const KernelArgs& args) {
  const float *src = args.in[0].as<float>(), *labels = args.in[1].as<float>();
  double correct = 0, counted = 0;
  for (int64_t v = 0; v < vectors.count(); ++v) {
    const auto label = static_cast<int64_t>(labels[v]);
    if (op.has_ignore && label == op.ignore_label) continue;
    ++counted;
    if (label < 0 || label >= vectors.axis) {
      correct = kNaN;
      continue;
    }
    const float* scores = src + vectors.first(v);
    const float own = scores[label * vectors.inner];
    int64_t rivals = 0;
    for (int64_t k = 0; k < vectors.axis; ++k) {
      rivals += k != label && !(scores[k * vectors.inner] < own);
    }
    correct += rivals < op.top_k ? 1 : 0;
  }
  float* dst = args.out[0].as<float>();
  dst[0] = counted == 0 ? 0.0f : static_cast<float>(correct / counted);
  dst[1] = static_cast<float>(counted);
}

// An Implementation on row-major activations.
Implementation plain(const OpDesc& desc, const std::vector<Slot>& activations,
                     int64_t scratch_bytes, const Run& run) {
  Implementation result{"", desc};
  share_plain_layout(result, activations);
  result.make = [=] { return own_kernel("plain", scratch_bytes, run); };
  return result;
}

}  // namespace

Implementation implement(const Softmax& op, const OpDesc& desc, Layouts&) {
  const Vectors vectors(desc.out[0].shape, op.axis);
  if (desc.pass == Pass::forward) {
    Implementation result = plain(desc, {out_slot(0), in_slot(0)}, 0, softmax_forward(vectors));
    result.in_place = {{0, 0}};
    return result;
  }
  Implementation result = plain(desc, {out_slot(0), in_slot(0), in_slot(1)}, 0,
                                softmax_backward(vectors, desc.accumulates(0)));
  result.in_place = {{0, 0}};
  result.accumulable = {0};
  return result;
}

Implementation implement(const SoftmaxLoss& op, const OpDesc& desc, Layouts&) {
  if (desc.pass == Pass::forward) {
    const Vectors vectors(desc.in[0].shape, op.axis);
    ScratchPlan scratch;
    scratch.take<double>(vectors.count());
    Implementation result = plain(desc, {out_slot(1), in_slot(0), in_slot(1)}, scratch.bytes(),
                                  loss_forward(op, vectors, desc.in[0].shape[0]));
    result.in_place = {{1, 0}};
    return result;
  }
  const Vectors vectors(desc.out[0].shape, op.axis);
  Implementation result =
      plain(desc, {out_slot(0), in_slot(0), in_slot(1)}, 0,
            loss_backward(op, vectors, desc.out[0].shape[0], desc.accumulates(0)));
  result.in_place = {{0, 0}};
  result.accumulable = {0};
  return result;
}

Implementation implement(const CountLabels& op, const OpDesc& desc, Layouts&) {
  return plain(desc, {in_slot(0)}, 0, [op](const KernelArgs& args) { count_labels(op, args); });
}

Implementation implement(const Accuracy& op, const OpDesc& desc, Layouts&) {
  const Vectors vectors(desc.in[0].shape, op.axis);
  return plain(desc, {in_slot(0), in_slot(1)}, 0,
               [=](const KernelArgs& args) { accuracy(op, vectors, args); });
}

}  // namespace resnet::onednn
