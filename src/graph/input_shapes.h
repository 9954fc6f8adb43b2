// What input layers say about the shapes of their tops. Internal to src/graph.
#pragma once

#include <vector>

#include "resnet/proto/resnet.pb.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

// One shape for each top of an Input or DummyData layer; empty for a Data layer, whose source
// decides. Throws ConfigError when the fields contradict each other or the number of tops, or give
// no shape.
std::vector<Shape> stated_shapes(const LayerParameter& layer);

// One shape for each legacy `input` of the net, from input_shape or input_dim; likewise.
std::vector<Shape> legacy_shapes(const NetParameter& net);

}  // namespace resnet
