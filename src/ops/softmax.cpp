// Softmax, SoftmaxLoss, and what reads labels: CountLabels, Accuracy.
#include <algorithm>

#include "ops/rules.h"

namespace resnet::rules {
namespace {

// Dimensions other than 1, and other than `axis` (pass -1 to keep all).
std::vector<int64_t> significant_dims(const Shape& shape, int axis) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != axis && shape[i] != 1) dims.push_back(shape[i]);
  }
  return dims;
}

void check_label(const char* op, const Shape& src, int axis, const Shape& label) {
  const int a = src.canonical_axis(axis);
  require(significant_dims(src, a) == significant_dims(label, -1), op,
          "labels have shape " + label.str() + ", which does not match scores of shape " +
              src.str() + " without axis " + std::to_string(a));
}

std::string ignore_text(bool has_ignore, int64_t label) {
  return has_ignore ? " ignore=" + std::to_string(label) : "";
}

}  // namespace

Descs infer(const Softmax& op, const Descs& in) {
  check_inputs("Softmax", in, 1);
  in[0].shape.canonical_axis(op.axis);
  return {like(in[0], in[0].shape)};
}

std::string describe(const Softmax& op) { return "axis=" + std::to_string(op.axis); }

std::optional<Signature> signature(const Softmax&, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (pass == Pass::backward) return Signature{{diff_output(0), output(0)}, {diff_input(0)}};
  return std::nullopt;
}

Descs infer(const SoftmaxLoss& op, const Descs& in) {
  constexpr const char* kName = "SoftmaxLoss";
  check_inputs(kName, in, 2u + op.count_input);
  check_label(kName, in[0].shape, op.axis, in[1].shape);
  if (op.count_input) check_shape(kName, "count", in[2].shape, Shape{1});
  require(op.label_smoothing >= 0 && op.label_smoothing < 1, kName,
          "label_smoothing must be in [0, 1), got " + std::to_string(op.label_smoothing));
  require(op.normalizer_scale > 0, kName, "normalizer_scale must be positive");
  return {{Shape{2}, accumulator(in[0].dtype), Layout::any()}, like(in[0], in[0].shape)};
}

std::string describe(const SoftmaxLoss& op) {
  constexpr const char* kModes[] = {"valid", "full", "batch", "none"};
  std::string text = "axis=" + std::to_string(op.axis) + " " +
                     kModes[static_cast<size_t>(op.normalization)] +
                     ignore_text(op.has_ignore, op.ignore_label);
  if (op.label_smoothing != 0) text += " smoothing=" + std::to_string(op.label_smoothing);
  if (op.loss_weight != 1) text += " weight=" + std::to_string(op.loss_weight);
  if (op.normalizer_scale != 1) text += " scale=" + std::to_string(op.normalizer_scale);
  if (op.count_input) text += " count";
  return text;
}

std::optional<Signature> signature(const SoftmaxLoss& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 2);
  if (pass != Pass::backward) return std::nullopt;
  Signature s{{output(1), input(1)}, {diff_input(0)}};
  if (op.count_input) s.in.push_back(input(2));
  return s;
}

Descs infer(const CountLabels&, const Descs& in) {
  check_inputs("CountLabels", in, 1);
  return {like(in[0], Shape{1})};
}

std::string describe(const CountLabels& op) { return "ignore=" + std::to_string(op.ignore_label); }

std::optional<Signature> signature(const CountLabels&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

Descs infer(const Accuracy& op, const Descs& in) {
  constexpr const char* kName = "Accuracy";
  check_inputs(kName, in, 2);
  check_label(kName, in[0].shape, op.axis, in[1].shape);
  const int64_t classes = in[0].shape[in[0].shape.canonical_axis(op.axis)];
  require(op.top_k >= 1 && op.top_k <= classes, kName,
          "top_k = " + std::to_string(op.top_k) + " is not in [1, " + std::to_string(classes) +
              "], the number of classes");
  return {{Shape{2}, accumulator(in[0].dtype), Layout::any()}};
}

std::string describe(const Accuracy& op) {
  return "axis=" + std::to_string(op.axis) + " top" + std::to_string(op.top_k) +
         ignore_text(op.has_ignore, op.ignore_label);
}

std::optional<Signature> signature(const Accuracy&, Pass pass, int n) {
  return forward_only(pass, n, 1);
}

}  // namespace resnet::rules
