// The outlines of the procedural set, as tests of points.
#pragma once

#include <array>

#include "resnet/data/shapes.h"

namespace resnet {

inline constexpr int kOutlineUnit = 1024;  // one unit of length; every kind covers one unit of area
inline constexpr int kOutlineReach =
    992;  // no point of a kind is farther than this from its origin

struct Point {
  int x, y;
};
using Inside = bool (*)(Point);

struct Outline {
  const char* name;
  Inside inside;
};

// In label order.
extern const std::array<Outline, kShapeKinds> kOutlines;

// Distractions, which reach one unit from the origin at most.
extern const Inside kLine, kDot;

}  // namespace resnet
