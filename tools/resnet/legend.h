// The legend of a panel: in a free corner, or above it.
#pragma once

#include <vector>

#include "chart.h"
#include "curve_lines.h"

namespace resnet::cli {

constexpr double kFontSize = 9;  // points

// Where a legend of these entries fits into the panel without covering a line or a box; nothing if nowhere.
std::optional<Box> free_corner(const std::vector<LegendEntry>& entries, const Box& panel,
                               const std::vector<std::vector<XY>>& lines,
                               const std::vector<Box>& taken);
// Draws the entries below each other, on white.
void draw_legend(const std::vector<LegendEntry>& entries, const Box& box, Figure* figure);

// Height of a legend that stands above a panel of this width, in rows.
double height_above(const std::vector<LegendEntry>& entries, double width);
void draw_legend_above(const std::vector<LegendEntry>& entries, const Box& panel, Figure* figure);

}  // namespace resnet::cli
