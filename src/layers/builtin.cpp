#include "layers/builtin.h"

#include <algorithm>
#include <array>

#include "resnet/base/nearest.h"

namespace resnet {

std::span<const LayerType> builtin_layers() {
  using namespace layers;
  static const std::array list{kAccuracyLayer,
                               kBatchNormLayer,
                               kConcatLayer,
                               kConvolutionLayer,
                               kDataLayer,
                               kDropoutLayer,
                               kDummyDataLayer,
                               kEltwiseLayer,
                               kFlattenLayer,
                               kIdentityShortcutLayer,
                               kInnerProductLayer,
                               kInputLayer,
                               kPoolingLayer,
                               kReluLayer,
                               kScaleLayer,
                               kSoftmaxLayer,
                               kSoftmaxWithLossLayer,
                               kSplitLayer};
  return list;
}

const LayerType* find_layer(std::string_view name) {
  const auto list = builtin_layers();
  const auto found = std::find_if(list.begin(), list.end(),
                                  [&](const LayerType& layer) { return layer.name == name; });
  return found == list.end() ? nullptr : &*found;
}

bool is_data_layer(std::string_view name) {
  const LayerType* layer = find_layer(name);
  return layer != nullptr && layer->build == nullptr;
}

std::string nearest_layer(std::string_view name) {
  std::vector<std::string> names;
  for (const LayerType& layer : builtin_layers()) names.emplace_back(layer.name);
  return nearest(name, names);
}

}  // namespace resnet
