#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const double slope = b.param().relu_param().negative_slope();
  b.output(0, b.emit(Relu{slope}, {b.input(0)})[0]);
}

}  // namespace

const LayerType kReluLayer{
    "ReLU", kOne, kOne,
    R"(y = x where x > 0, else `negative_slope` x (default 0). The gradient at 0 is that of the negative side.

Other than Caffe: `negative_slope` must not be negative. `engine` changes nothing.)",
    build};

}  // namespace resnet::layers
