// Names that a net's weights have in PyTorch's world, and what has to be done to the values.
#pragma once

#include <string>
#include <vector>

#include "resnet/exchange/residual_net.h"
#include "resnet/exchange/tensors.h"

namespace resnet {

// "layer2.0.<projection>.0.weight", "<classifier>.weight"
struct NameStyle {
  std::string projection = "downsample";
  std::string classifier = "fc";
  // Identity shortcuts (option A) append half of their zero channels in front of the input's and half behind
  // them. Here all are behind, so that channels of such nets come in another order.
  bool zeros_around = false;
};
// torchvision and timm; nets for CIFAR as in akamaster/pytorch_resnet_cifar10.
NameStyle torchvision_names();
NameStyle cifar_names();

// A blob and the tensor that holds its values: blob[i][j] = tensor[rows[i]][columns[j]] in the first two
// dimensions; empty: in the same order.
struct NamePair {
  std::string tensor;
  int layer = 0;  // index into NetParameter::layer()
  int blob = 0;
  std::vector<int> rows, columns;
};

// Pairs for the weights of convolutions, for gamma, beta, mean and variance, and for the classifier. Biases of
// convolutions and factors of BatchNorm layers have no counterpart.
std::vector<NamePair> name_pairs(const NetParameter& net, const ResidualNet& parts,
                                 const NameStyle& style);

// "LAYER/ROLE" for every blob of a net whose layers hold blobs, as Parameter::name() has it.
std::vector<NamePair> own_names(const NetParameter& net);
// "weight", "gamma", "variance", ..: what a blob of a layer is for.
std::string role_of(const LayerParameter& layer, int blob);

// What a net of torchvision or timm with these blocks would do otherwise, one line each: eps, where the stride
// is, how the stem's pooling is aligned.
std::vector<std::string> differences_from_torchvision(const NetParameter& net,
                                                      const ResidualNet& parts);

}  // namespace resnet
