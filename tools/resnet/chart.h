// Curves over iterations in one or several panels, as a figure that is readable in print: curves differ in
// their lines and marks, not in colour only, and no text is smaller than 9 points.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "figure.h"
#include "run_log.h"

namespace resnet::cli {

// Marks that tell curves apart, at some of their points.
enum class Marker { none, circle, square, triangle, diamond, down_triangle, disc };

struct ChartCurve {
  std::string name;  // in SVG
  Curve points;
  Stroke stroke;
  Marker marker = Marker::none;
  double marker_size = 5;  // points across
};

struct LegendEntry {
  std::string text;
  Stroke stroke;
  Marker marker = Marker::none;
};

struct Range {
  double low = 0, high = 1;
};

enum class Scale { linear, logarithmic, automatic };  // automatic: logarithmic over a wide range

struct ChartPanel {
  std::string title;  // what the y axis shows
  std::vector<ChartCurve> curves;
  std::vector<LegendEntry> legend;
  Scale scale = Scale::linear;
  std::optional<Range> range = {};  // of the y axis; by default that of the curves
};

struct ChartMark {
  double iteration = 0;  // of a vertical line
  std::string text;
};

struct Chart {
  std::string title, subtitle;     // "": none
  std::vector<ChartPanel> panels;  // from the top; they share the x axis
  std::vector<ChartMark> marks;
  std::optional<Range> x_range = {};  // by default from 0 to the last iteration
  double width = 252, height = 190;   // points
};

// Adds to `notes` what could not be drawn. Throws DataError when no curve has a finite point in its range, and
// ConfigError when the figure is too small.
Figure draw(const Chart& chart, std::vector<std::string>* notes);

}  // namespace resnet::cli
