// The net that belongs to a file of weights, as far as the names in it tell.
#pragma once

#include <string>

#include "resnet/exchange/tensors.h"

namespace resnet::cli {

struct ImportedNet {
  std::string name;    // "resnet50v1.5": for file names
  std::string deploy;  // the text of deploy.prototxt
};

// From blocks ("layer3.5."), their kind and the number of classes: four stages are a net for ImageNet in torchvision's
// variant (stride in the 3x3 convolution, projections, padded pool1), three are one for CIFAR. --family and
// --depth, where given, must agree. Throws ConfigError when no net has these names.
ImportedNet net_of_names(const TensorFile& file);

}  // namespace resnet::cli
