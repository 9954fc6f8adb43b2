#include "layers/builtin.h"

#include <algorithm>
#include <array>

#include "resnet/base/nearest.h"

namespace resnet {

std::span<const LayerType> builtin_layers() {
  using namespace layers;
  static const std::array list{accuracy_layer,
                               batch_norm_layer,
                               concat_layer,
                               convolution_layer,
                               data_layer,
                               dropout_layer,
                               dummy_data_layer,
                               eltwise_layer,
                               flatten_layer,
                               identity_shortcut_layer,
                               inner_product_layer,
                               input_layer,
                               pooling_layer,
                               relu_layer,
                               scale_layer,
                               softmax_layer,
                               softmax_with_loss_layer,
                               split_layer};
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
