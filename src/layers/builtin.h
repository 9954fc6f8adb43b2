// The layer types, one file each. Internal to src/layers.
#pragma once

#include <limits>
#include <string>

#include "resnet/base/error.h"
#include "resnet/layers/layer.h"

namespace resnet::layers {

constexpr Arity kNone{0, 0};
constexpr Arity kOne{1, 1};
constexpr Arity kTwo{2, 2};
constexpr Arity at_least(int n) { return {n, std::numeric_limits<int>::max()}; }

// Throws ConfigError(message), which says the fact and what to do, unless ok.
inline void require(bool ok, const std::string& message) {
  if (!ok) throw ConfigError(message);
}

inline const Shape& shape_of(const LayerBuilder& b, int input) {
  return b.desc(b.input(input)).shape;
}

extern const LayerType accuracy_layer;
extern const LayerType batch_norm_layer;
extern const LayerType concat_layer;
extern const LayerType convolution_layer;
extern const LayerType data_layer;
extern const LayerType dropout_layer;
extern const LayerType dummy_data_layer;
extern const LayerType eltwise_layer;
extern const LayerType flatten_layer;
extern const LayerType identity_shortcut_layer;
extern const LayerType inner_product_layer;
extern const LayerType input_layer;
extern const LayerType pooling_layer;
extern const LayerType relu_layer;
extern const LayerType scale_layer;
extern const LayerType softmax_layer;
extern const LayerType softmax_with_loss_layer;
extern const LayerType split_layer;

}  // namespace resnet::layers
