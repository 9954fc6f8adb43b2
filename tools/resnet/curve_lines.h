// From the points of a curve to lines and marks inside a rectangle.
#pragma once

#include <vector>

#include "chart.h"

namespace resnet::cli {

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
};

// The part of the segment from *a to *b that lies in the box replaces it; false if there is none.
bool clip(const Box& box, XY* a, XY* b);

// The points as they are, or where more than two fall on one of `columns` equal parts of the range, one for
// each part: the means of its iterations and of its finite values.
Curve thinned(const Curve& curve, const Range& range, int columns);

// The parts of a line that lie in the box, broken where a point is not finite. A point without neighbours is
// a part of its own.
std::vector<std::vector<XY>> visible_parts(const std::vector<XY>& points, const Box& box);

// Points about `spacing` apart, the first of them `offset` from the left, to put marks on.
std::vector<XY> marked_points(const std::vector<XY>& points, const Box& box, double spacing,
                              double offset);

// A marker around a point, white inside.
std::vector<FigureShape> marker_shapes(Marker marker, XY at, double size, const Colour& colour);

}  // namespace resnet::cli
