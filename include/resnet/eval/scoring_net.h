// The part of a net that gives class scores, with one input for images: as it was trained, or applied
// fully convolutionally.
#pragma once

#include <string>
#include <vector>

#include "resnet/graph/graph.h"
#include "resnet/io/caffemodel.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

enum class ScoreKind : uint8_t {
  probabilities,  // behind a softmax
  logits          // before it
};

struct ScoringNet {
  NetParameter net;    // an Input layer, the layers that the scores depend on, no labels
  std::string input;   // blob for images (N,C,H,W)
  std::string scores;  // blob (N,classes), or (N,classes,H,W) when dense
  Shape image;         // (C,H,W) of one training input
  // Layers that were InnerProduct and are convolutions here: adapt_weights() gives their blobs the new
  // shape.
  std::vector<std::string> converted;
};

// What computes the scores of `net` in the phase TEST: what a SoftmaxWithLoss or Accuracy layer reads,
// or the top of a Softmax layer at the end. A softmax is added or left out as `kind` wants. `image`:
// shape (C,H,W) of the net's training input; rank 0 takes that of the net's Input layer.
// Throws ConfigError when the net has no class scores, or no or several inputs for images.
ScoringNet scoring_net(const NetParameter& net, const GraphOptions& options, const Shape& image,
                       ScoreKind kind);

// The same, applied to images of any size that is at least the training input's (the paper, section
// 3.4): InnerProduct layers become convolutions whose kernels are as large as what they read in
// training, global poolings and those that left one pixel become averages over windows of that size
// at stride 1. On an image of the training size the scores are those of scoring_net() with spatial
// size 1x1. Throws ConfigError naming a layer that cannot be converted.
ScoringNet dense_net(const NetParameter& net, const GraphOptions& options, const Shape& image,
                     ScoreKind kind);

// Gives the weights of converted layers their shape as convolutions.
void adapt_weights(const ScoringNet& net, WeightSet* weights);

}  // namespace resnet
