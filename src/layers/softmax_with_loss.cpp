#include "layers/builtin.h"

namespace resnet::layers {
namespace {

using Normalization = SoftmaxLoss::Normalization;

Normalization normalization_of(const LossParameter& p) {
  if (!p.has_normalization() && p.has_normalize()) {  // Caffe's older spelling
    return p.normalize() ? Normalization::valid : Normalization::batch;
  }
  switch (p.normalization()) {
    case LossParameter::FULL:
      return Normalization::full;
    case LossParameter::BATCH_SIZE:
      return Normalization::batch;
    case LossParameter::NONE:
      return Normalization::none;
    case LossParameter::VALID:
      break;
  }
  return Normalization::valid;
}

SoftmaxLoss read(const LayerParameter& layer, const Shape& src) {
  const LossParameter& p = layer.loss_param();
  require(p.label_smoothing() >= 0 && p.label_smoothing() < 1,
          "loss_param.label_smoothing is " + std::to_string(p.label_smoothing()) +
              "; it must be at least 0 and below 1");
  SoftmaxLoss op;
  op.axis = src.canonical_axis(layer.softmax_param().axis());
  op.normalization = normalization_of(p);
  op.has_ignore = p.has_ignore_label();
  op.ignore_label = p.ignore_label();
  op.label_smoothing = p.label_smoothing();
  op.loss_weight = layer.loss_weight_size() > 0 ? layer.loss_weight(0) : 1;
  op.count_input = op.has_ignore && op.normalization == Normalization::valid;
  return op;
}

void build(LayerBuilder& b) {
  const SoftmaxLoss op = read(b.param(), shape_of(b, 0));
  std::vector<ValueId> in{b.input(0), b.input(1)};
  if (op.count_input) in.push_back(b.emit(CountLabels{op.ignore_label}, {b.input(1)})[0]);
  const std::vector<ValueId> out = b.emit(op, in);  // loss, prob
  b.loss(0, out[0], op.loss_weight);
  if (b.num_outputs() == 2) b.output(1, out[1]);
}

}  // namespace

const LayerType kSoftmaxWithLossLayer{
    "SoftmaxWithLoss",
    kTwo,
    {0, 2},
    R"(The multinomial logistic loss of softmax(x) along `softmax_param.axis` (default 1). Bottoms: scores x
and labels; the labels are integers in [0, K), one for every score vector: (N) for scores (N,K). First top:
the loss, times `loss_weight` (default 1) in the objective; it needs no top to count. Second top: softmax(x).

`loss_param.normalization` divides the sum over labels by the number of labels that are not
`ignore_label` (VALID, the default), of all labels (FULL), of images (BATCH_SIZE) or by 1 (NONE), but
never by less than 1. The older `normalize` is VALID when true, BATCH_SIZE when false. A label equal to
`ignore_label` adds nothing.

Our own `loss_param.label_smoothing` s: the target is 1 - s on the label plus s / K on every class. Other
than Caffe: probabilities are not clamped, and a label outside [0, K) makes the loss NaN.)",
    build};

}  // namespace resnet::layers
