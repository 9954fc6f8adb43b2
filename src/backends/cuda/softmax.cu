// Softmax, SoftmaxLoss and Accuracy. A vector of scores belongs to a warp, or to one thread where
// neighbouring vectors, not neighbouring scores, lie side by side.
#include <algorithm>
#include <cmath>

#include "backends/cuda/block_sums.h"
#include "backends/cuda/implementation.h"
#include "backends/cuda/label_count.h"

namespace resnet::cuda {
namespace {

// Score k of vector v is element (v / inner * classes + k) * inner + v % inner.
struct Vectors {
  int64_t outer, classes, inner;
  Vectors(const Shape& s, int axis)
      : outer(s.count(0, s.canonical_axis(axis))),
        classes(s[s.canonical_axis(axis)]),
        inner(s.count_from(s.canonical_axis(axis) + 1)) {}
  __host__ __device__ int64_t count() const { return outer * inner; }
  __device__ int64_t first(int64_t v) const { return v / inner * classes * inner + v % inner; }
};

// The vectors of this thread: v, v + step .. Threads of a warp leave the loop together when kLanes = kWarp.
template <int kLanes>
struct Share {
  int64_t begin, step;
  int lane;
  __device__ Share()
      : begin(RESNET_THREAD_INDEX / kLanes),
        step(static_cast<int64_t>(gridDim.x) * blockDim.x / kLanes),
        lane(static_cast<int>(threadIdx.x) % kLanes) {}
};

// max and sum of exp(src - max) of one vector; every score goes to visit(k, score) on its thread.
struct LogSum {
  float max, sum;
};
template <int kLanes, class Visit>
__device__ __forceinline__ LogSum log_sum(const float* src, int64_t classes, int64_t inner,
                                          int lane, const Visit& visit) {
  float max = -INFINITY;
  for (int64_t k = lane; k < classes; k += kLanes) max = fmaxf(max, src[k * inner]);
  max = max_lanes<kLanes>(max);
  double sum = 0;
  for (int64_t k = lane; k < classes; k += kLanes) {
    const float score = src[k * inner];
    sum += expf(score - max);
    visit(k, score);
  }
  return {max, static_cast<float>(add_lanes<kLanes>(sum))};
}

template <int kLanes>
__global__ void softmax_forward(Vectors a, const float* src, float* dst) {
  const Share<kLanes> share;
  for (int64_t v = share.begin; v < a.count(); v += share.step) {
    const int64_t first = a.first(v);
    const LogSum s =
        log_sum<kLanes>(src + first, a.classes, a.inner, share.lane, [](int64_t, float) {});
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      const int64_t i = first + k * a.inner;
      dst[i] = expf(src[i] - s.max) / s.sum;
    }
  }
}

template <int kLanes>
__global__ void softmax_backward(Vectors a, const float* diff_dst, const float* dst,
                                 float* diff_src, bool add) {
  const Share<kLanes> share;
  for (int64_t v = share.begin; v < a.count(); v += share.step) {
    const int64_t first = a.first(v);
    double sum = 0;
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      const int64_t i = first + k * a.inner;
      sum += static_cast<double>(diff_dst[i]) * dst[i];
    }
    const auto dot = static_cast<float>(add_lanes<kLanes>(sum));
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      const int64_t i = first + k * a.inner;
      diff_src[i] = (add ? diff_src[i] : 0.0F) + dst[i] * (diff_dst[i] - dot);
    }
  }
}

// What labels mean: SoftmaxLoss's and Accuracy's attributes.
struct Labels {
  const float* label;
  int64_t classes, ignored;
  bool has_ignore;
  __device__ int64_t at(int64_t v) const { return static_cast<int64_t>(label[v]); }
  __device__ bool ignores(int64_t label) const { return has_ignore && label == ignored; }
  __device__ bool valid(int64_t label) const { return label >= 0 && label < classes; }
};

struct LossTask {
  Vectors vectors;
  Labels labels;
  SoftmaxLoss::Normalization normalization;
  double images, smoothing, normalizer_scale, loss_weight;
  const float* count;  // null: counted here

  // From the number of labels that are not ignored.
  __device__ double normalizer(int64_t used) const {
    double base = 1;
    switch (normalization) {
      case SoftmaxLoss::Normalization::valid:
        base = count != nullptr ? static_cast<double>(*count) : static_cast<double>(used);
        break;
      case SoftmaxLoss::Normalization::full:
        base = static_cast<double>(vectors.count());
        break;
      case SoftmaxLoss::Normalization::batch:
        base = images;
        break;
      case SoftmaxLoss::Normalization::none:
        break;
    }
    const double n = base * normalizer_scale;
    return n < 1 ? 1 : n;
  }
  __device__ double weight(int64_t used) const {
    switch (normalization) {
      case SoftmaxLoss::Normalization::valid:
        return static_cast<double>(used);
      case SoftmaxLoss::Normalization::full:
        return static_cast<double>(vectors.count());
      default:
        return images;
    }
  }
};

// What each block adds to the loss.
struct LossPart {
  double loss;
  double used;
};

template <int kLanes>
__global__ void __launch_bounds__(kThreads)
    loss_forward(LossTask t, const float* src, float* prob, float* loss, LossPart* parts,
                 int* ticket) {
  const Vectors& a = t.vectors;
  const Share<kLanes> share;
  const double spread = t.smoothing / static_cast<double>(a.classes);
  double total = 0, used = 0;
  for (int64_t v = share.begin; v < a.count(); v += share.step) {
    const int64_t first = a.first(v), label = t.labels.at(v);
    // Sum of share * (score - max) is taken as a sum of scores and a sum of shares.
    double scores = 0;
    const LogSum s =
        log_sum<kLanes>(src + first, a.classes, a.inner, share.lane, [&](int64_t k, float score) {
          if (k == label) scores += (1 - t.smoothing) * score;
          if (spread > 0) scores += spread * score;
        });
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      const int64_t i = first + k * a.inner;
      prob[i] = expf(src[i] - s.max) / s.sum;
    }
    scores = add_lanes<kLanes>(scores);
    if (share.lane != 0 || t.labels.ignores(label)) continue;
    used += 1;
    if (t.labels.valid(label)) {
      total -= scores - (static_cast<double>(s.max) + log(static_cast<double>(s.sum)));
    } else {
      total += NAN;
    }
  }
  total = add_block(total);
  used = add_block(used);
  if (threadIdx.x == 0) parts[blockIdx.x] = {total, used};
  if (!is_last_block(ticket)) return;
  const volatile LossPart* const written = parts;
  total = used = 0;
  for (unsigned b = threadIdx.x; b < gridDim.x; b += kThreads) {
    total += written[b].loss;
    used += written[b].used;
  }
  total = add_block(total);
  used = add_block(used);
  if (threadIdx.x != 0) return;
  const auto count = static_cast<int64_t>(used);
  loss[0] = static_cast<float>(total / t.normalizer(count));
  loss[1] = static_cast<float>(t.weight(count));
}

template <int kLanes>
__global__ void __launch_bounds__(kThreads)
    loss_backward(LossTask t, const float* prob, const int64_t* counted, float* diff_src,
                  bool add) {
  const Vectors& a = t.vectors;
  const Share<kLanes> share;
  const int64_t used = counted != nullptr ? *counted : a.count();
  const auto scale = static_cast<float>(t.loss_weight / t.normalizer(used));
  const auto spread = static_cast<float>(t.smoothing / static_cast<double>(a.classes));
  const auto hit =
      static_cast<float>(t.smoothing / static_cast<double>(a.classes) + (1 - t.smoothing));
  for (int64_t v = share.begin; v < a.count(); v += share.step) {
    const int64_t first = a.first(v), label = t.labels.at(v);
    const bool ignored = t.labels.ignores(label);
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      const int64_t i = first + k * a.inner;
      const float diff = ignored ? 0.0F : scale * (prob[i] - (k == label ? hit : spread));
      diff_src[i] = add ? diff_src[i] + diff : diff;
    }
  }
}

// What each block adds to the accuracy.
struct AccuracyPart {
  double correct, counted;
};

template <int kLanes>
__global__ void __launch_bounds__(kThreads)
    accuracy(Vectors a, Labels labels, int64_t top_k, const float* src, float* dst,
             AccuracyPart* parts, int* ticket) {
  const Share<kLanes> share;
  double correct = 0, counted = 0;
  for (int64_t v = share.begin; v < a.count(); v += share.step) {
    const int64_t label = labels.at(v);
    if (labels.ignores(label)) continue;
    const bool first_lane = share.lane == 0;
    if (first_lane) counted += 1;
    if (!labels.valid(label)) {
      if (first_lane) correct += NAN;
      continue;
    }
    const float* const scores = src + a.first(v);
    const float own = scores[label * a.inner];
    int rivals = 0;
    for (int64_t k = share.lane; k < a.classes; k += kLanes) {
      rivals += k != label && !(scores[k * a.inner] < own) ? 1 : 0;
    }
    rivals = add_lanes<kLanes>(rivals);
    if (first_lane && rivals < top_k) correct += 1;
  }
  correct = add_block(correct);
  counted = add_block(counted);
  if (threadIdx.x == 0) parts[blockIdx.x] = {correct, counted};
  if (!is_last_block(ticket)) return;
  const volatile AccuracyPart* const written = parts;
  correct = counted = 0;
  for (unsigned b = threadIdx.x; b < gridDim.x; b += kThreads) {
    correct += written[b].correct;
    counted += written[b].counted;
  }
  correct = add_block(correct);
  counted = add_block(counted);
  if (threadIdx.x != 0) return;
  dst[0] = counted == 0 ? 0.0F : static_cast<float>(correct / counted);
  dst[1] = static_cast<float>(counted);
}

bool alone(const Vectors& a) { return a.inner >= kWarp; }
unsigned blocks_for_vectors(const Vectors& a) {
  const int64_t threads = a.count() * (alone(a) ? 1 : kWarp);
  return static_cast<unsigned>(
      std::clamp<int64_t>((threads + kThreads - 1) / kThreads, 1, kMostBlocks));
}

// Calls f.operator()<kLanes>(): how many threads share a vector.
template <class F>
void with_lanes(const Vectors& a, const F& f) {
  if (alone(a)) {
    f.template operator()<1>();
  } else {
    f.template operator()<kWarp>();
  }
}

// "" or why an operand is not f32.
std::string refuse_types(const OpDesc& desc) {
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (std::string reason = refuse_unless_f32("an operand", t); !reason.empty()) return reason;
    }
  }
  return "";
}

LossTask loss_task(const SoftmaxLoss& op, const Shape& scores) {
  const Vectors vectors(scores, op.axis);
  return {vectors,
          {nullptr, vectors.classes, op.ignore_label, op.has_ignore},
          op.normalization,
          static_cast<double>(scores[0]),
          op.label_smoothing,
          op.normalizer_scale,
          op.loss_weight,
          nullptr};
}

}  // namespace

Implementation implement(const Softmax& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_types(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  const bool backward = desc.pass == Pass::backward;
  const bool add = desc.accumulates(0);
  result.in_place = {{0, 0}};
  if (backward) {
    result.in_place.emplace_back(0, 1);
    result.accumulable = {0};
  }
  result.make = [=, a = Vectors(desc.out[0].shape, op.axis)](const Device& device) {
    return own_kernel("own", 0, [=, stream = device.stream()](const KernelArgs& args) {
      with_lanes(a, [&]<int kLanes>() {
        if (backward) {
          launch(stream, blocks_for_vectors(a), kThreads, softmax_backward<kLanes>, a,
                 args.in[0].as<float>(), args.in[1].as<float>(), args.out[0].as<float>(), add);
        } else {
          launch(stream, blocks_for_vectors(a), kThreads, softmax_forward<kLanes>, a,
                 args.in[0].as<float>(), args.out[0].as<float>());
        }
      });
    });
  };
  return result;
}

Implementation implement(const SoftmaxLoss& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_types(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  const bool backward = desc.pass == Pass::backward;
  const LossTask task = loss_task(op, backward ? desc.out[0].shape : desc.in[0].shape);
  const auto with_labels = [task, counted = op.count_input](const KernelArgs& args) {
    LossTask t = task;
    t.labels.label = args.in[1].as<float>();
    if (counted) t.count = args.in[2].as<float>();
    return t;
  };
  if (backward) {
    result.in_place = {{0, 0}};
    result.accumulable = {0};
    const bool add = desc.accumulates(0);
    const bool count =
        op.normalization == SoftmaxLoss::Normalization::valid && op.has_ignore && !op.count_input;
    result.make = [=](const Device& device) {
      ScratchPlan scratch;
      const LabelCount labels(count ? task.vectors.count() : 0, op.ignore_label, scratch);
      const int64_t total = scratch.take<int64_t>(1);
      return own_kernel(
          "own", scratch.bytes(),
          [=, stream = device.stream(), ticket = make_ticket(device)](const KernelArgs& args) {
            const LossTask t = with_labels(args);
            int64_t* const counted =
                count ? reinterpret_cast<int64_t*>(args.scratch + total) : nullptr;
            if (count) {
              labels.run(stream, t.labels.label, args.scratch, ticket_of(ticket), counted);
            }
            with_lanes(task.vectors, [&]<int kLanes>() {
              launch(stream, blocks_for_vectors(task.vectors), kThreads, loss_backward<kLanes>, t,
                     args.in[0].as<float>(), counted, args.out[0].as<float>(), add);
            });
          });
    };
    return result;
  }
  result.in_place = {{1, 0}};
  result.make = [=](const Device& device) {
    ScratchPlan scratch;
    const unsigned blocks = blocks_for_vectors(task.vectors);
    const int64_t parts = scratch.take<LossPart>(blocks);
    return own_kernel(
        "own", scratch.bytes(),
        [=, stream = device.stream(), ticket = make_ticket(device)](const KernelArgs& args) {
          with_lanes(task.vectors, [&]<int kLanes>() {
            launch(stream, blocks, kThreads, loss_forward<kLanes>, with_labels(args),
                   args.in[0].as<float>(), args.out[1].as<float>(), args.out[0].as<float>(),
                   reinterpret_cast<LossPart*>(args.scratch + parts), ticket_of(ticket));
          });
        });
  };
  return result;
}

Implementation implement(const Accuracy& op, const OpDesc& desc) {
  Implementation result{.refusal = refuse_types(desc), .desc = desc};
  if (!result.refusal.empty()) return result;
  use_plain(result);
  result.make = [op, a = Vectors(desc.in[0].shape, op.axis)](const Device& device) {
    ScratchPlan scratch;
    const unsigned blocks = blocks_for_vectors(a);
    const int64_t parts = scratch.take<AccuracyPart>(blocks);
    return own_kernel(
        "own", scratch.bytes(),
        [=, stream = device.stream(), ticket = make_ticket(device)](const KernelArgs& args) {
          const Labels labels{args.in[1].as<float>(), a.classes, op.ignore_label, op.has_ignore};
          with_lanes(a, [&]<int kLanes>() {
            launch(stream, blocks, kThreads, accuracy<kLanes>, a, labels, op.top_k,
                   args.in[0].as<float>(), args.out[0].as<float>(),
                   reinterpret_cast<AccuracyPart*>(args.scratch + parts), ticket_of(ticket));
          });
        });
  };
  return result;
}

}  // namespace resnet::cuda
