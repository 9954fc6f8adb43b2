#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const double ratio = b.param().dropout_param().dropout_ratio();
  require(ratio >= 0 && ratio < 1,
          "dropout_ratio is " + std::to_string(ratio) + "; it must be at least 0 and below 1");
  if (b.phase() == TEST || ratio == 0) {
    b.output(0, b.input(0));
    return;
  }
  b.output(0, b.emit(Dropout{ratio, b.layer_id()}, {b.input(0), b.clock()})[0]);
}

}  // namespace

const LayerType kDropoutLayer{
    "Dropout", kOne, kOne,
    R"(In TRAIN each value is set to zero with the probability `dropout_ratio` (default 0.5), the others are
divided by 1 - `dropout_ratio`. In TEST the top is the bottom. The draws depend on the seed, the image's
position in the training stream and the layer, not on the batch, threads or device.)",
    build};

}  // namespace resnet::layers
