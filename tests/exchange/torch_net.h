// Residual nets as PyTorch's users define them, in plain loops of doubles: an independent computation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/exchange/tensors.h"

namespace resnet::test {

struct TorchNet {
  std::vector<int> stages = {1, 1, 1, 1};  // blocks
  bool bottleneck = false;
  int width = 64;           // channels of the first stage
  int stem = 7;             // kernel of conv1: 7 with stride 2 and a pooling behind it, or 3
  bool projections = true;  // else shortcuts of option A, with zero channels on both sides
  int classes = 10;
  std::string projection = "downsample", classifier = "fc";
};
// The names are torchvision's, those of nets for CIFAR as in akamaster/pytorch_resnet_cifar10.
TorchNet torch_cifar_net(int blocks);

// Random weights; BatchNorm statistics that matter.
TensorFile random_tensors(const TorchNet& net, uint64_t seed);

// Scores of an image of planes R,G,B, (3,size,size), normalised.
std::vector<double> run(const TorchNet& net, const TensorFile& weights, std::vector<double> image,
                        int size);

}  // namespace resnet::test
