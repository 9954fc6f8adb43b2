// What a prototxt of a residual net consists of: its convolutions in blocks and stages, whatever its layers
// are called.
#pragma once

#include <string>
#include <vector>

#include "resnet/graph/graph.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

// Numbers of layers are indices into NetParameter::layer(); -1: there is none.
struct ResidualNet {
  struct Unit {  // a convolution with its BatchNorm and Scale
    int convolution = -1, batch_norm = -1, scale = -1;
  };
  struct Block {
    std::vector<int> branch;     // units: 2 (basic) or 3 (bottleneck)
    int projection = -1;         // the unit on the way around
    int identity_shortcut = -1;  // the layer there that appends zero channels (option A)
    int stride = 1;              // of the whole branch
    int stage = 1, index = 0;    // "layer<stage>.<index>" in torchvision
  };

  std::vector<Unit> units;  // in the order of the file
  int stem = -1;            // the unit before all blocks
  int pool = -1;            // the pooling layer behind it
  std::vector<Block> blocks;
  int classifier = -1;  // the InnerProduct layer

  bool appends_zeros() const;  // whether any block has an identity shortcut of option A
};

// Stages begin with blocks that have a stride or another number of channels than the block before them. Throws
// ConfigError, with the layer, for a net of another kind: one without blocks, with convolutions that lack a
// BatchNorm or a Scale layer, with pre-activation, or with layers that residual nets do not have.
ResidualNet residual_net(const NetParameter& net, const GraphOptions& options);

}  // namespace resnet
