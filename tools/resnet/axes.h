// Axes of a chart: where values lie, and the numbers beside them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chart.h"

namespace resnet::cli {

struct Tick {
  double value = 0;
  std::string label;  // "": a line of the grid only
};

// Maps values to a stretch of the figure.
class Axis {
 public:
  Axis(Range range, bool logarithmic) : range_(range), logarithmic_(logarithmic) {}

  Range range() const { return range_; }
  bool logarithmic() const { return logarithmic_; }
  // The value's place in the range: 0 at its low end, 1 at its high one. Not finite for what a logarithmic
  // axis cannot show.
  double share(double value) const;

 private:
  Range range_;
  bool logarithmic_;
};

// Ticks at 1, 2 or 5 times powers of ten, at most `most` with labels, in units of `unit`.
std::vector<Tick> ticks(const Axis& axis, int most, double unit = 1);

// 1, or the power of ten in which large iterations are counted.
double iteration_unit(double highest);

// "12,000".
std::string grouped(double value);
// By printf's pattern, with one number.
std::string formatted(const char* pattern, double value);

}  // namespace resnet::cli
