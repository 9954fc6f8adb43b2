#include "cases.h"

#include <algorithm>
#include <cmath>

#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"

namespace resnet::testing {
namespace {

// What the values of a forward input look like.
enum class Values {
  normal,
  positive,
  factor,
  label,
  count,
  clock,
  hyper,
  exact,
  state,
  level,
  order,
  placement
};

struct Input {
  Shape shape;
  Values values = Values::normal;
};
using Inputs = std::vector<Input>;

Inputs complete(const Convolution& op, const Inputs& src) {
  Inputs in{src[0],
            {Shape{op.num_output, src[0].shape[1] / op.groups, op.kernel[0], op.kernel[1]}}};
  if (op.bias) in.push_back({Shape{op.num_output}});
  if (!op.sum) return in;
  Convolution plain = op;
  plain.sum = false;
  std::vector<TensorDesc> descs;
  for (const Input& i : in) descs.push_back({i.shape, DType::f32, Layout::nchw()});
  in.push_back({infer(plain, descs)[0].shape});
  return in;
}

Inputs complete(const InnerProduct& op, const Inputs& src) {
  const int64_t k = src[0].shape.count_from(src[0].shape.canonical_axis(op.axis));
  Inputs in{src[0], {op.transpose ? Shape{k, op.num_output} : Shape{op.num_output, k}}};
  if (op.bias) in.push_back({Shape{op.num_output}});
  return in;
}

Inputs complete(const BatchNorm& op, const Inputs& src) {
  const Shape per_channel{src[0].shape[1]};
  Inputs in{src[0]};
  if (op.global) {
    in.push_back({per_channel});
    in.push_back({per_channel, Values::positive});
    in.push_back({Shape{1}, Values::factor});
  }
  if (op.gamma) in.push_back({per_channel});
  if (op.beta) in.push_back({per_channel});
  if (op.add) in.push_back(src.back());  // of its own shape with add_stride
  return in;
}

Inputs complete(const Scale& op, const Inputs& src) {
  const std::vector<int64_t> dims = src[0].shape.dims();
  const auto begin = dims.begin() + src[0].shape.canonical_axis(op.axis);
  const Shape gamma(std::vector<int64_t>(begin, begin + op.num_axes));
  Inputs in{src[0], {gamma}};
  if (op.bias) in.push_back({gamma});
  return in;
}

Inputs with_label(int axis, const Inputs& src) {
  if (src.size() > 1) return {src[0], {src[1].shape, Values::label}};
  std::vector<int64_t> dims = src[0].shape.dims();
  dims.erase(dims.begin() + src[0].shape.canonical_axis(axis));
  return {src[0], {Shape(dims), Values::label}};
}

Inputs complete(const SoftmaxLoss& op, const Inputs& src) {
  Inputs in = with_label(op.axis, src);
  if (op.count_input) in.push_back({Shape{1}, Values::count});
  return in;
}

Inputs complete(const Accuracy& op, const Inputs& src) { return with_label(op.axis, src); }

Inputs complete(const CountLabels&, const Inputs& src) { return {{src[0].shape, Values::label}}; }

Inputs complete(const Dropout&, const Inputs& src) { return {src[0], {Shape{2}, Values::clock}}; }

Inputs complete(const SgdUpdate&, const Inputs& src) { return {src[0], {Shape{4}, Values::hyper}}; }

Inputs complete(const ScaleBy&, const Inputs& src) { return {src[0], {Shape{1}, Values::exact}}; }

Inputs complete(const DrawBatch&, const Inputs& src) {
  const Shape& images = src[0].shape;
  return {{images, Values::level},
          {Shape{images[0]}},
          {Shape{2, images[0]}, Values::order},
          {src.size() > 1 ? src[1].shape : Shape{images[1]}},
          {Shape{train_state::kSize}, Values::state}};
}

// src: levels [, mean image (C,H',W') of at least their size]
Inputs complete(const NormaliseImages&, const Inputs& src) {
  const Shape& levels = src[0].shape;
  return {{levels, Values::level},
          {Shape{levels[0], placement::kSize}, Values::placement},
          {src.size() > 1 ? src[1].shape : Shape{levels[1]}}};
}

Inputs complete(const PrepareUpdate& op, const Inputs& src) {
  Inputs in{{src[0].shape, Values::exact}};
  if (op.has_norm) in.push_back({Shape{1}, Values::exact});
  return in;
}

Inputs complete(const FoldBatchNorm& op, const Inputs& src) {
  const Shape per_channel{src[0].shape[0]};
  Inputs in{src[0]};
  if (op.bias) in.push_back({per_channel});
  in.push_back({per_channel});
  in.push_back({per_channel, Values::positive});
  in.push_back({Shape{1}, Values::factor});
  if (op.gamma) in.push_back({per_channel});
  if (op.beta) in.push_back({per_channel});
  return in;
}

template <class T>
Inputs complete(const T&, const Inputs& src) {
  return src;
}

Inputs inputs_of(const Case& c) {
  Inputs src;
  for (const Shape& shape : c.src) src.push_back({shape});
  return std::visit([&](const auto& op) { return complete(op, src); }, c.op);
}

// Number of classes and the label that is ignored (or -1).
std::pair<int64_t, int64_t> classes(const Case& c) {
  if (const auto* op = std::get_if<SoftmaxLoss>(&c.op)) {
    return {c.src[0][c.src[0].canonical_axis(op->axis)], op->has_ignore ? op->ignore_label : -1};
  }
  if (const auto* op = std::get_if<Accuracy>(&c.op)) {
    return {c.src[0][c.src[0].canonical_axis(op->axis)], op->has_ignore ? op->ignore_label : -1};
  }
  return {4, std::get<CountLabels>(c.op).ignore_label};
}

// A state of training.
constexpr double kState[] = {5, 7, 3, 2, 0, 4, 1, 0};

double label_value(const Case& c, Random& random) {
  const auto [count, ignored] = classes(c);
  const bool ignore = random.below(4) == 0;
  const auto label = static_cast<double>(random.below(static_cast<uint32_t>(count)));
  return ignore && ignored != -1 ? static_cast<double>(ignored) : label;
}

// Of the windows of c.src[0]: the first image fills its window, those after it lie in padding.
double placement_value(const Case& c, int64_t at, Random& random) {
  const int64_t n = at / placement::kSize, height = c.src[0][2], width = c.src[0][3];
  const int64_t rows = c.src.size() > 1 ? c.src[1][1] - height : 0;
  const int64_t columns = c.src.size() > 1 ? c.src[1][2] - width : 0;
  switch (at % placement::kSize) {
    case placement::kMirrored:
      return static_cast<double>(n % 2);
    case placement::kTop:
    case placement::kLeft:
      return static_cast<double>(n % 3);
    case placement::kBottom:
      return static_cast<double>(height - (n + 1) % 2 * n);
    case placement::kRight:
      return static_cast<double>(width - n / 2);
    case placement::kMeanTop:
      return static_cast<double>(n * rows % (rows + 1));
    case placement::kMeanLeft:
      return static_cast<double>(n * n % (columns + 1));
    default:
      return 20 * random.normal();
  }
}

double value_of(const Case& c, Values values, int64_t at, Random& random) {
  constexpr double kClock[] = {12345, 1000003};
  constexpr double kHyper[] = {0.1, 0.01, 0.9, 0.5};
  switch (values) {
    case Values::normal:
    case Values::exact:
      return random.normal();
    case Values::positive:
      return 0.5 + 3 * random.uniform();
    case Values::factor:
      return 2.5;
    case Values::label:
      return label_value(c, random);
    case Values::count:
      return 7;
    case Values::clock:
      return kClock[at];
    case Values::hyper:
      return kHyper[at];
    case Values::state:
      return kState[at];
    case Values::level:
      return random.below(256);
    case Values::order:  // a permutation in each of two rows
      return static_cast<double>((3 * at + at / c.src[0][0]) % c.src[0][0]);
    case Values::placement:
      return placement_value(c, at, random);
  }
  throw InternalError("unknown kind of values");
}

DType type_of(Values values, DType real) {
  switch (values) {
    case Values::clock:
    case Values::hyper:
    case Values::exact:
    case Values::state:
      return DType::f64;
    case Values::level:
      return DType::u8;
    case Values::order:
      return DType::i32;
    default:
      return real;
  }
}

}  // namespace

std::vector<TensorDesc> forward_inputs(const Case& c, DType type) {
  std::vector<TensorDesc> descs;
  const Inputs inputs = inputs_of(c);
  const bool narrow = type == DType::bf16 || type == DType::f16;
  for (const Input& i : inputs) {
    const bool wide = narrow && i.shape.rank() < inputs[0].shape.rank();
    descs.push_back({i.shape, type_of(i.values, wide ? DType::f32 : type), Layout::nchw()});
  }
  return descs;
}

HostTensor forward_input(const Case& c, size_t i, DType type) {
  const Values values = inputs_of(c)[i].values;
  HostTensor t(forward_inputs(c, type)[i]);
  Random random(hash_of(c.name), i, Use::test);
  for (int64_t at = 0; at < t.count(); ++at) {
    double v = value_of(c, values, at, random);
    if (i == 0 && values == Values::normal) v = c.mean + c.deviation * v;
    if (c.ties && i == 0) v = std::round(2 * v) / 2;
    for (const auto& [input, constant] : c.constants) {
      if (input == static_cast<int>(i)) v = constant;
    }
    t.set(at, static_cast<float>(v));  // equal for every type
  }
  return t;
}

HostTensor initial_output(const std::string& name, size_t i, const TensorDesc& desc) {
  HostTensor t(desc);
  if (desc.dtype == DType::f64 && desc.shape == Shape{train_state::kSize}) {
    for (int64_t at = 0; at < t.count(); ++at) t.set(at, kState[at]);
    return t;
  }
  Random random(hash_of(name), 100 + i, Use::test);
  for (int64_t at = 0; at < t.count(); ++at) t.set(at, 0.5 + random.uniform() - (at % 3 == 0));
  return t;
}

bool updates_outputs(const Op& op) {
  return std::holds_alternative<SgdUpdate>(op) || std::holds_alternative<UpdateStatistics>(op) ||
         std::holds_alternative<RecordBatch>(op) || std::holds_alternative<PrepareUpdate>(op);
}

bool is_large(const Case& c) {
  return multiply_adds(c.op, forward_inputs(c, DType::f32)) > 10'000'000;
}

const std::vector<Case>& all_cases() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all = small_cases();
    for (Case& c : net_cases("resnet20", 3)) all.push_back(std::move(c));
    for (Case& c : net_cases("resnet50", 1)) all.push_back(std::move(c));
    return all;
  }();
  return cases;
}

}  // namespace resnet::testing
