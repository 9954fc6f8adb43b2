// Internal to src/graph.
#pragma once

#include "resnet/graph/graph.h"

namespace resnet {

// The state that include and exclude rules are held against.
NetState state_of(const NetParameter& net, const GraphOptions& options);

bool takes_part(const LayerParameter& layer, const NetState& state);

}  // namespace resnet
