// What a figure of `resnet plot` holds, read from its SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace resnet::test {

using SvgPoints = std::vector<std::pair<double, double>>;

struct SvgLine {
  std::string name, attributes;  // its title; the text of its other attributes
  SvgPoints points;
};

// The lines that have a title: curves. A curve with gaps is several of one name.
std::vector<SvgLine> svg_curves(const std::string& svg);
// The polygons, with their attributes.
std::vector<SvgLine> svg_shapes(const std::string& svg);
// The texts, without their attributes.
std::vector<std::string> svg_texts(const std::string& svg);

}  // namespace resnet::test
