#include "curve_lines.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace resnet::cli {
namespace {

bool is_finite(const XY& p) { return std::isfinite(p.x) && std::isfinite(p.y); }

bool inside(const Box& box, const XY& p) {
  return p.x >= box.left && p.x <= box.right && p.y >= box.top && p.y <= box.bottom;
}

bool same(const XY& a, const XY& b) { return a.x == b.x && a.y == b.y; }

// A regular polygon with its first corner at `turn` (radians, clockwise from the right).
std::vector<XY> polygon(XY at, double radius, int corners, double turn) {
  std::vector<XY> points;
  for (int i = 0; i < corners; ++i) {
    const double angle = turn + 2 * std::numbers::pi * i / corners;
    points.push_back({at.x + radius * std::cos(angle), at.y + radius * std::sin(angle)});
  }
  return points;
}

}  // namespace

bool clip(const Box& box, XY* a, XY* b) {
  const double dx = b->x - a->x, dy = b->y - a->y;
  double from = 0, to = 1;
  // Keeps the t with value + t * slope >= 0.
  const auto keep = [&](double value, double slope) {
    if (slope == 0) return value >= 0;
    const double t = -value / slope;
    if (slope > 0) {
      from = std::max(from, t);
    } else {
      to = std::min(to, t);
    }
    return from <= to;
  };
  if (!keep(a->x - box.left, dx) || !keep(box.right - a->x, -dx) || !keep(a->y - box.top, dy) ||
      !keep(box.bottom - a->y, -dy)) {
    return false;
  }
  const XY start = *a;
  if (from > 0) *a = {start.x + from * dx, start.y + from * dy};
  if (to < 1) *b = {start.x + to * dx, start.y + to * dy};
  return true;
}

Curve thinned(const Curve& curve, const Range& range, int columns) {
  if (curve.size() <= 2 * static_cast<size_t>(columns)) return curve;
  const auto column_of = [&](double iteration) {
    const double column = (iteration - range.low) / (range.high - range.low) * columns;
    // The last one takes the end of the range, too.
    return iteration == range.high ? columns - 1.0 : std::floor(column);
  };
  Curve out;
  for (size_t begin = 0, end = 0; begin < curve.size(); begin = end) {
    double iterations = 0, values = 0, finite = 0;
    const double column = column_of(curve[begin].iteration);
    for (end = begin; end < curve.size() && column_of(curve[end].iteration) == column; ++end) {
      iterations += curve[end].iteration;
      if (!std::isfinite(curve[end].value)) continue;
      values += curve[end].value;
      ++finite;
    }
    out.push_back({iterations / static_cast<double>(end - begin),
                   finite > 0 ? values / finite : std::nan("")});
  }
  return out;
}

std::vector<std::vector<XY>> visible_parts(const std::vector<XY>& points, const Box& box) {
  std::vector<std::vector<XY>> parts;
  for (size_t i = 0; i < points.size(); ++i) {
    if (!is_finite(points[i])) continue;
    const bool follows = i > 0 && is_finite(points[i - 1]);
    const bool leads = i + 1 < points.size() && is_finite(points[i + 1]);
    if (!follows && !leads && inside(box, points[i])) parts.push_back({points[i]});
    if (!follows) continue;
    XY a = points[i - 1], b = points[i];
    if (!clip(box, &a, &b)) continue;
    const bool goes_on = !parts.empty() && parts.back().size() > 1 &&
                         same(parts.back().back(), a) && same(a, points[i - 1]);
    if (!goes_on) parts.push_back({a});
    parts.back().push_back(b);
  }
  return parts;
}

std::vector<XY> marked_points(const std::vector<XY>& points, const Box& box, double spacing,
                              double offset) {
  std::vector<XY> out;
  for (double x = box.left + offset; x < box.right; x += spacing) {
    const XY* nearest = nullptr;
    for (const XY& p : points) {
      if (!is_finite(p) || !inside(box, p)) continue;
      if (nearest == nullptr || std::abs(p.x - x) < std::abs(nearest->x - x)) nearest = &p;
    }
    if (nearest == nullptr) break;
    if (out.empty() || !same(out.back(), *nearest)) out.push_back(*nearest);
  }
  return out;
}

std::vector<FigureShape> marker_shapes(Marker marker, XY at, double size, const Colour& colour) {
  constexpr Colour kWhite = {255, 255, 255};
  constexpr double kPi = std::numbers::pi;
  const double radius = size / 2;
  const Stroke outline = {.colour = colour, .width = size / 5};
  const auto shape = [&](std::vector<XY> points, const Colour& fill) {
    return std::vector<FigureShape>{{std::move(points), fill, outline}};
  };
  switch (marker) {
    case Marker::none:
      return {};
    case Marker::circle:
      return shape(polygon(at, radius, 24, 0), kWhite);
    case Marker::square:
      return shape(polygon(at, radius * 1.2, 4, kPi / 4), kWhite);
    case Marker::triangle:
      return shape(polygon(at, radius * 1.3, 3, -kPi / 2), kWhite);
    case Marker::diamond:
      return shape(polygon(at, radius * 1.3, 4, 0), kWhite);
    case Marker::down_triangle:
      return shape(polygon(at, radius * 1.3, 3, kPi / 2), kWhite);
    case Marker::disc:
      return shape(polygon(at, radius, 24, 0), colour);
  }
  return {};
}

}  // namespace resnet::cli
