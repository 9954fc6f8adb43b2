#include "cli/svg_lines.h"

#include <regex>
#include <sstream>

namespace resnet::test {
namespace {

SvgPoints points_of(const std::string& text) {
  SvgPoints points;
  std::istringstream in(text);
  double x = 0, y = 0;
  char comma = 0;
  while (in >> x >> comma >> y) points.emplace_back(x, y);
  return points;
}

// An element is a line of the file; the standard library's expressions overflow on the points of long ones.
std::vector<SvgLine> elements(const std::string& svg, const std::string& begin) {
  std::vector<SvgLine> found;
  std::istringstream in(svg);
  const std::string head = begin + " points=\"";
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(head)) continue;
    const size_t end = line.find('"', head.size());
    SvgLine element;
    element.points = points_of(line.substr(head.size(), end - head.size()));
    element.attributes = line.substr(end + 1);
    std::smatch title;
    if (std::regex_search(element.attributes, title, std::regex("<title>(.*)</title>"))) {
      element.name = title[1];
    }
    found.push_back(std::move(element));
  }
  return found;
}

}  // namespace

std::vector<SvgLine> svg_curves(const std::string& svg) {
  std::vector<SvgLine> curves = elements(svg, "<polyline");
  std::erase_if(curves, [](const SvgLine& line) { return line.name.empty(); });
  return curves;
}

std::vector<SvgLine> svg_shapes(const std::string& svg) { return elements(svg, "<polygon"); }

std::vector<std::string> svg_texts(const std::string& svg) {
  std::vector<std::string> texts;
  std::istringstream in(svg);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("<text ")) continue;
    const size_t begin = line.find('>') + 1;
    texts.push_back(line.substr(begin, line.rfind("</text>") - begin));
  }
  return texts;
}

}  // namespace resnet::test
