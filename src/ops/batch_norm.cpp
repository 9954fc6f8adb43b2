#include "ops/rules.h"

namespace resnet::rules {
namespace {

constexpr const char* kName = "BatchNorm";

// Number of inputs of the forward pass before gamma: src, or src and the fixed statistics.
int fixed_inputs(const BatchNorm& op) { return op.global ? 4 : 1; }

// Whether `addend`, seen with op.add_stride, covers src.
bool covers(const BatchNorm& op, const Shape& addend, const Shape& src) {
  const auto strided = [&](int64_t extent) { return (extent + op.add_stride - 1) / op.add_stride; };
  return src.rank() == 4 && addend.rank() == 4 && addend[0] == src[0] && addend[1] <= src[1] &&
         strided(addend[2]) == src[2] && strided(addend[3]) == src[3];
}

}  // namespace

Descs infer(const BatchNorm& op, const Descs& in) {
  check_inputs(kName, in, static_cast<size_t>(fixed_inputs(op)) + op.gamma + op.beta + op.add);
  const TensorDesc& src = in[0];
  require(src.shape.rank() >= 2, kName,
          "src must have at least 2 dimensions, got " + src.shape.str());
  require(op.eps > 0, kName, "eps must be positive, got " + std::to_string(op.eps));
  require(!op.has_mask || op.relu, kName, "a mask needs relu");
  const int64_t images = src.shape[0], channels = src.shape[1];
  require(op.group_size >= 0 && (op.group_size == 0 || images % op.group_size == 0), kName,
          "the batch of " + std::to_string(images) +
              " is not a multiple of group_size = " + std::to_string(op.group_size));
  const Shape per_channel{channels};
  size_t next = 1;
  if (op.global) {
    check_shape(kName, "mean", in[next++].shape, per_channel);
    check_shape(kName, "variance", in[next++].shape, per_channel);
    check_shape(kName, "factor", in[next++].shape, Shape{1});
  }
  if (op.gamma) check_shape(kName, "gamma", in[next++].shape, per_channel);
  if (op.beta) check_shape(kName, "beta", in[next++].shape, per_channel);
  require(op.add_stride >= 0, kName, "add_stride must not be negative");
  require(op.add_stride == 0 || (op.add && op.relu), kName, "add_stride needs add and relu");
  if (op.add && op.add_stride == 0) check_shape(kName, "addend", in[next++].shape, src.shape);
  if (op.add_stride != 0) {
    require(covers(op, in[next].shape, src.shape), kName,
            "addend of shape " + in[next].shape.str() + " does not fit src of shape " +
                src.shape.str() + " with add_stride = " + std::to_string(op.add_stride));
  }

  Descs out{like(src, src.shape)};
  if (!op.global) {
    const int64_t groups = op.group_size == 0 ? 1 : images / op.group_size;
    const DType type = accumulator(src.dtype);
    out.push_back({Shape{groups, 2, channels}, type, Layout::any()});
    out.push_back({Shape{2, channels}, type, Layout::any()});
  }
  if (op.has_mask) out.push_back(mask_of(out[0]));
  return out;
}

std::string describe(const BatchNorm& op) {
  std::string text = op.global ? "global" : "batch";
  if (op.group_size != 0) text += " group_size=" + std::to_string(op.group_size);
  if (op.gamma) text += " gamma";
  if (op.beta) text += " beta";
  if (op.add) text += " add";
  if (op.add_stride != 0) text += " add_stride=" + std::to_string(op.add_stride);
  if (op.relu) text += " relu";
  if (op.has_mask) text += " mask";
  return text;
}

std::optional<Signature> signature(const BatchNorm& op, Pass pass, int n) {
  const int gamma = fixed_inputs(op), beta = gamma + op.gamma, addend = beta + op.beta;
  constexpr int kSaved = 1;
  const int mask = op.global ? 1 : 3;
  if (pass == Pass::forward) return forward_signature(n, mask + op.has_mask);
  if (pass == Pass::backward && (!op.relu || op.has_mask)) {
    Signature s{{diff_output(0), input(0)}, {diff_input(0)}};
    if (op.global) {
      for (int i = 1; i < fixed_inputs(op); ++i) s.in.push_back(input(i));
    } else {
      s.in.push_back(output(kSaved));
    }
    if (op.gamma) s.in.push_back(input(gamma));
    if (op.has_mask) s.in.push_back(output(mask));
    if (op.gamma) s.out.push_back(diff_input(gamma));
    if (op.beta) s.out.push_back(diff_input(beta));
    if (op.add && op.relu) s.out.push_back(diff_input(addend));
    return s;
  }
  if (pass == Pass::recompute && !op.global && !op.add) {
    Signature s{{input(0), output(kSaved)}, {output(0)}};
    if (op.gamma) s.in.push_back(input(gamma));
    if (op.beta) s.in.push_back(input(beta));
    return s;
  }
  return std::nullopt;
}

Descs infer(const UpdateStatistics& op, const Descs& in) {
  constexpr const char* kUpdate = "UpdateStatistics";
  check_inputs(kUpdate, in, 1);
  const Shape& stats = in[0].shape;
  require(stats.rank() == 2 && stats[0] == 2, kUpdate, "stats must be (2,C), got " + stats.str());
  require(op.fraction >= 0 && op.fraction <= 1, kUpdate,
          "the moving average fraction must be in [0, 1], got " + std::to_string(op.fraction));
  const Shape per_channel{stats[1]};
  return {like(in[0], per_channel), like(in[0], per_channel), like(in[0], Shape{1})};
}

std::string describe(const UpdateStatistics& op) {
  return "fraction=" + std::to_string(op.fraction);
}

std::optional<Signature> signature(const UpdateStatistics&, Pass pass, int n) {
  return forward_only(pass, n, 3);
}

}  // namespace resnet::rules
