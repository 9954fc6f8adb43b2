// What can be said about one layer without the rest of the net. Internal to src/graph.
#pragma once

#include <string>
#include <vector>

#include "resnet/base/error.h"
#include "resnet/layers/layer.h"

namespace resnet {

inline std::string quoted(const std::string& name) { return "'" + name + "'"; }

// Throws ConfigError(message), which says the fact and what to do, unless ok.
inline void require(bool ok, const std::string& message) {
  if (!ok) throw ConfigError(message);
}

// Throws ConfigError when a blob of this shape could not exist in any memory (more than 2^48 elements).
void check_size(const Shape& shape);

// Everything wrong with the layer's type, number of bottoms and tops, and fields that count per
// bottom or top; each "fact; what to do".
std::vector<std::string> check_layer(const LayerParameter& layer);

}  // namespace resnet
