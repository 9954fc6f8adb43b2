// A procedural set of small images to learn from where no real data is to be had.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

// 32x32 colour images of ten kinds of shape; the kind is the label. Position, size, rotation,
// colours, gradients, stripes, noise and distracting lines and dots are drawn alike for every kind,
// and all kinds cover equal areas, so that neither colour nor brightness nor position says anything
// about the label. All arithmetic is on integers: the images are the same on every machine and with
// every library.
inline constexpr int64_t kShapeKinds = 10;
std::vector<std::string> shape_names();  // in label order

// Record i has label i % 10 and depends on (seed, part, i) only. TRAIN and TEST never share draws.
SourcePtr open_shapes(uint64_t seed, Phase part, int64_t size);

}  // namespace resnet
