// Ops of the training loop: SgdUpdate, ScaleBy, SquaredNorm, RecordBatch, PrepareUpdate, DrawBatch,
// NormaliseImages.
#include "ops/rules.h"
#include "resnet/ops/training_rules.h"

namespace resnet::rules {
namespace {

void require_rounded(const char* op, DType type) {
  require(type == DType::f32 || type == DType::bf16 || type == DType::f16, op,
          std::string("images are written in f32, bf16 or f16, not ") + name_of(type));
}

TensorDesc exact(const Shape& shape) { return {shape, DType::f64, Layout::any()}; }

}  // namespace

Descs infer(const SgdUpdate& op, const Descs& in) {
  check_inputs("SgdUpdate", in, 2);
  check_shape("SgdUpdate", "hyper", in[1].shape, Shape{4});
  Descs out{like(in[0], in[0].shape), like(in[0], in[0].shape)};
  if (op.copy_type != DType::f32) out.push_back({in[0].shape, op.copy_type, Layout::any()});
  return out;
}

std::string describe(const SgdUpdate& op) {
  std::string text = std::string(op.nesterov ? "nesterov" : "sgd") + (op.l1 ? " l1" : " l2");
  if (op.rate_mult != 1) text += " rate_mult=" + std::to_string(op.rate_mult);
  if (op.decay_mult != 1) text += " decay_mult=" + std::to_string(op.decay_mult);
  if (op.copy_type != DType::f32) text += std::string(" copy=") + name_of(op.copy_type);
  return text;
}

std::optional<Signature> signature(const SgdUpdate& op, Pass pass, int n) {
  return forward_only(pass, n, op.copy_type == DType::f32 ? 2 : 3);
}

Descs infer(const ScaleBy&, const Descs& in) {
  check_inputs("ScaleBy", in, 2);
  check_shape("ScaleBy", "the factor", in[1].shape, Shape{1});
  return {like(in[0], in[0].shape)};
}

std::string describe(const ScaleBy&) { return ""; }

std::optional<Signature> signature(const ScaleBy&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const SquaredNorm&, const Descs& in) {
  check_inputs("SquaredNorm", in, 1);
  return {exact(Shape{1})};
}

std::string describe(const SquaredNorm&) { return ""; }

std::optional<Signature> signature(const SquaredNorm&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const RecordBatch& op, const Descs& in) {
  constexpr const char* kName = "RecordBatch";
  check_inputs(kName, in, 1);
  require(in[0].shape.rank() == 1, kName, "metrics must be a vector, got " + in[0].shape.str());
  require(op.rows >= 1 && op.images >= 0, kName, "rows must be positive, images not negative");
  return {exact(Shape{train_state::kSize}), like(in[0], Shape{op.rows, in[0].shape[0]})};
}

std::string describe(const RecordBatch& op) {
  return "images=" + std::to_string(op.images) + " rows=" + std::to_string(op.rows);
}

std::optional<Signature> signature(const RecordBatch&, Pass pass, int n) {
  return forward_only(pass, n, 2);
}

Descs infer(const PrepareUpdate& op, const Descs& in) {
  constexpr const char* kName = "PrepareUpdate";
  check_inputs(kName, in, 1u + op.has_norm);
  const Shape& schedule = in[0].shape;
  require(schedule.rank() == 2 && schedule[0] >= 1 && schedule[1] == 4, kName,
          "the schedule must be (S,4), got " + schedule.str());
  if (op.has_norm) check_shape(kName, "the norm", in[1].shape, Shape{1});
  require(op.iter_size >= 1, kName, "iter_size must be positive");
  require(op.has_norm || !op.loss_scaling, kName, "loss scaling needs the norm");
  return {exact(Shape{train_state::kSize}), exact(Shape{4})};
}

std::string describe(const PrepareUpdate& op) {
  std::string text = "iter_size=" + std::to_string(op.iter_size);
  if (op.has_norm) text += " norm";
  if (op.loss_scaling) text += " loss_scaling";
  return text;
}

std::optional<Signature> signature(const PrepareUpdate&, Pass pass, int n) {
  return forward_only(pass, n, 2);
}

Descs infer(const DrawBatch& op, const Descs& in) {
  constexpr const char* kName = "DrawBatch";
  check_inputs(kName, in, 5);
  require_rounded(kName, op.type);
  const Shape& images = in[0].shape;
  require(images.rank() == 4, kName, "images must be (R,C,H,W), got " + images.str());
  check_shape(kName, "labels", in[1].shape, Shape{images[0]});
  check_shape(kName, "order", in[2].shape, Shape{2, images[0]});
  check_shape(kName, "state", in[4].shape, Shape{train_state::kSize});
  Shape mean{images[1]};
  if (op.mean_of_window) {
    mean = Shape{images[1], op.height, op.width};
  } else if (in[3].shape.rank() != 1) {
    mean = Shape{images[1], images[2], images[3]};
  }
  check_shape(kName, "mean", in[3].shape, mean);
  require(op.batch >= 1 && op.batch <= images[0], kName,
          "the batch of " + std::to_string(op.batch) + " must be one of at most " +
              std::to_string(images[0]) + " images");
  require(op.height >= 1 && op.height <= images[2] && op.width >= 1 && op.width <= images[3] &&
              op.pad >= 0,
          kName, "a window of " + describe(op) + " does not fit into " + images.str());
  return {{Shape{op.batch, images[1], op.height, op.width}, op.type, Layout::any()},
          like(in[1], Shape{op.batch})};
}

std::string describe(const DrawBatch& op) {
  std::string text = "batch=" + std::to_string(op.batch) + " " + std::to_string(op.height) + "x" +
                     std::to_string(op.width) + " pad=" + std::to_string(op.pad) +
                     " scale=" + std::to_string(op.scale);
  if (op.mirror) text += " mirror";
  if (op.mean_of_window) text += " mean_of_window";
  if (op.type != DType::f32) text += std::string(" to ") + name_of(op.type);
  return text;
}

std::optional<Signature> signature(const DrawBatch&, Pass pass, int n) {
  return forward_only(pass, n, 2);
}

Descs infer(const NormaliseImages& op, const Descs& in) {
  constexpr const char* kName = "NormaliseImages";
  check_inputs(kName, in, 3);
  require_rounded(kName, op.type);
  const Shape &levels = in[0].shape, &mean = in[2].shape;
  require(levels.rank() == 4, kName, "levels must be (N,C,H,W), got " + levels.str());
  check_shape(kName, "placements", in[1].shape, Shape{levels[0], placement::kSize});
  require((mean.rank() == 1 || mean.rank() == 3) && mean[0] == levels[1], kName,
          "the mean must be (C) or (C,H,W) of " + std::to_string(levels[1]) + " channels, got " +
              mean.str());
  return {{levels, op.type, Layout::any()}};
}

std::string describe(const NormaliseImages& op) {
  std::string text = "scale=" + std::to_string(op.scale);
  if (op.type != DType::f32) text += std::string(" to ") + name_of(op.type);
  return text;
}

std::optional<Signature> signature(const NormaliseImages&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

}  // namespace resnet::rules
