#include "data/shape_outlines.h"

#include <span>

namespace resnet {
namespace {

bool in_disc(Point p, int x, int y, int radius) {
  return (p.x - x) * (p.x - x) + (p.y - y) * (p.y - y) <= radius * radius;
}

bool in_box(Point p, int left, int top, int right, int bottom) {
  return p.x >= left && p.x <= right && p.y >= top && p.y <= bottom;
}

// Even-odd rule: counts the edges that a ray towards +x crosses.
bool in_polygon(Point p, std::span<const Point> corners) {
  bool inside = false;
  Point from = corners.back();
  for (const Point to : corners) {
    if ((from.y > p.y) != (to.y > p.y)) {
      const int side = (to.x - from.x) * (p.y - from.y) - (p.x - from.x) * (to.y - from.y);
      if ((side > 0) == (to.y > from.y)) inside = !inside;
    }
    from = to;
  }
  return inside;
}

bool disc(Point p) { return in_disc(p, 0, 0, 578); }

bool ring(Point p) { return in_disc(p, 0, 0, 676) && !in_disc(p, 0, 0, 352); }

bool square(Point p) { return in_box(p, -512, -512, 512, 512); }

bool triangle(Point p) {
  static constexpr Point corners[] = {{0, -898}, {778, 449}, {-778, 449}};
  return in_polygon(p, corners);
}

bool cross(Point p) { return in_box(p, -229, -687, 229, 687) || in_box(p, -687, -229, 687, 229); }

bool star(Point p) {
  static constexpr Point corners[] = {{0, -922},    {228, -313}, {877, -285}, {368, 120},
                                      {542, 746},   {0, 387},    {-542, 746}, {-368, 120},
                                      {-877, -285}, {-228, -313}};
  return in_polygon(p, corners);
}

bool half_disc(Point p) { return p.y >= -347 && in_disc(p, 0, -347, 817); }

bool bars(Point p) { return in_box(p, -543, -724, -181, 724) || in_box(p, 181, -724, 543, 724); }

bool corner(Point p) { return in_box(p, -504, -504, -46, 870) || in_box(p, -504, -504, 870, -46); }

bool crescent(Point p) { return in_disc(p, 281, 0, 788) && !in_disc(p, 754, 0, 630); }

bool line(Point p) { return in_box(p, -1020, -40, 1020, 40); }

bool dot(Point p) { return in_disc(p, 0, 0, 1024); }

}  // namespace

const std::array<Outline, kShapeKinds> kOutlines{{{"disc", disc},
                                                  {"ring", ring},
                                                  {"square", square},
                                                  {"triangle", triangle},
                                                  {"cross", cross},
                                                  {"star", star},
                                                  {"half_disc", half_disc},
                                                  {"bars", bars},
                                                  {"corner", corner},
                                                  {"crescent", crescent}}};
const Inside kLine = line;
const Inside kDot = dot;

}  // namespace resnet
