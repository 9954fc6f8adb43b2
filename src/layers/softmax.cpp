#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const int axis = shape_of(b, 0).canonical_axis(b.param().softmax_param().axis());
  b.output(0, b.emit(Softmax{axis}, {b.input(0)})[0]);
}

}  // namespace

const LayerType kSoftmaxLayer{
    "Softmax", kOne, kOne,
    R"(y = exp(x - max) / sum of exp(x - max) along `axis` (default 1). `engine` changes nothing.)",
    build};

}  // namespace resnet::layers
