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

// All inputs of the layer, in order.
inline std::vector<ValueId> inputs_of(const LayerBuilder& b) {
  std::vector<ValueId> in(static_cast<size_t>(b.num_inputs()));
  for (int i = 0; i < b.num_inputs(); ++i) in[static_cast<size_t>(i)] = b.input(i);
  return in;
}

inline const Shape& shape_of(const LayerBuilder& b, int input) {
  return b.desc(b.input(input)).shape;
}

extern const LayerType kAccuracyLayer;
extern const LayerType kBatchNormLayer;
extern const LayerType kConcatLayer;
extern const LayerType kConvolutionLayer;
extern const LayerType kDataLayer;
extern const LayerType kDropoutLayer;
extern const LayerType kDummyDataLayer;
extern const LayerType kEltwiseLayer;
extern const LayerType kFlattenLayer;
extern const LayerType kIdentityShortcutLayer;
extern const LayerType kInnerProductLayer;
extern const LayerType kInputLayer;
extern const LayerType kPoolingLayer;
extern const LayerType kReluLayer;
extern const LayerType kScaleLayer;
extern const LayerType kSoftmaxLayer;
extern const LayerType kSoftmaxWithLossLayer;
extern const LayerType kSplitLayer;

}  // namespace resnet::layers
