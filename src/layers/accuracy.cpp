#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const AccuracyParameter& p = b.param().accuracy_param();
  require(b.num_outputs() == 1,
          "a second top (accuracy per class) is not supported; remove it: `resnet test --report` "
          "gives the accuracy per class");
  Accuracy op;
  op.axis = shape_of(b, 0).canonical_axis(p.axis());
  op.top_k = p.top_k();
  op.has_ignore = p.has_ignore_label();
  op.ignore_label = p.ignore_label();
  b.metric(0, b.emit(op, {b.input(0), b.input(1)})[0]);
}

}  // namespace

const LayerType kAccuracyLayer{
    "Accuracy",
    kTwo,
    {1, 2},
    R"(The share of labels whose class is among the `top_k` (default 1) largest scores along `axis` (default 1).
Bottoms: scores, labels. Labels equal to `ignore_label` are left out. As in Caffe, a class with the same
score as the label's counts against it. An average over batches weighs each by its number of labels.

Other than Caffe: a second top (accuracy per class) is refused.)",
    build};

}  // namespace resnet::layers
