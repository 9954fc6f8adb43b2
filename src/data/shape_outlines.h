// The outlines of the procedural set, as tests of points.
#pragma once

#include <array>

#include "resnet/data/shapes.h"

namespace resnet {

// One unit of length. Every kind covers one unit of area, with its centre of mass at the origin.
inline constexpr int kOutlineUnit = 1024;
inline constexpr int kOutlineReach = 1008;  // no point of a kind is farther from the origin

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
