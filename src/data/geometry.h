// Which part of an image a net is fed.
#pragma once

#include "data/resample.h"

namespace resnet {

struct Geometry {
  Scaling scaling;
  Rect window;  // of the scaled box; with padding it may reach beyond
  bool mirrored = false;
};

}  // namespace resnet
