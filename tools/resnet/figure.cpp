#include "figure.h"

#include <array>
#include <cstddef>
#include <string_view>

#include "markup.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

// Widths of Helvetica's characters from ' ' to '~' in thousandths of the size.
constexpr std::array<int16_t, 95> kWidths = {
    278,  278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278,  // ' ' to '/'
    556,  556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556,  // '0' to '?'
    1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778,  // '@' to 'O'
    667,  778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556,  // 'P' to '_'
    333,  556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556,  // '`' to 'o'
    556,  556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584};      // 'p' to '~'
constexpr double kUnknownWidth = 600, kBoldWider = 1.07;

std::string number(double value) {
  std::string text = fixed(value, 2);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string hex(const Colour& colour) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text = "#";
  for (const uint8_t part : {colour.red, colour.green, colour.blue}) {
    text += kDigits[part >> 4];
    text += kDigits[part & 15];
  }
  return text;
}

std::string attribute(const char* name, const std::string& value) {
  return std::string(" ") + name + "=\"" + value + '"';
}

std::string points_attribute(const std::vector<XY>& points) {
  std::string text;
  for (const XY& p : points) {
    text += (text.empty() ? "" : " ") + number(p.x) + "," + number(p.y);
  }
  return attribute("points", text);
}

std::string stroke_attributes(const Stroke& stroke) {
  std::string text =
      attribute("stroke", hex(stroke.colour)) + attribute("stroke-width", number(stroke.width));
  std::string dashes;
  for (const double length : stroke.dashes) dashes += (dashes.empty() ? "" : " ") + number(length);
  return dashes.empty() ? text : text + attribute("stroke-dasharray", dashes);
}

std::string svg_of(const FigureLine& line) {
  const std::string head = "<polyline" + points_attribute(line.points) + attribute("fill", "none") +
                           stroke_attributes(line.stroke);
  if (line.name.empty()) return head + "/>\n";
  return head + "><title>" + escape(line.name) + "</title></polyline>\n";
}

std::string svg_of(const FigureShape& shape) {
  return "<polygon" + points_attribute(shape.points) + attribute("fill", hex(shape.fill)) +
         (shape.outline.width > 0 ? stroke_attributes(shape.outline) : "") + "/>\n";
}

std::string svg_of(const FigureText& text) {
  std::string out = "<text";
  if (text.upwards) {
    out += attribute("transform",
                     "translate(" + number(text.at.x) + " " + number(text.at.y) + ") rotate(-90)");
  } else {
    out += attribute("x", number(text.at.x)) + attribute("y", number(text.at.y));
  }
  out += attribute("font-size", number(text.size)) + attribute("fill", hex(text.colour));
  if (text.align != Align::left) {
    out += attribute("text-anchor", text.align == Align::centre ? "middle" : "end");
  }
  if (text.bold) out += attribute("font-weight", "bold");
  return out + ">" + escape(text.text) + "</text>\n";
}

}  // namespace

Figure::Figure(double width, double height, std::string title)
    : width_(width), height_(height), title_(std::move(title)) {}

void Figure::add(FigureLine line) {
  order_.push_back({Kind::line, lines_.size()});
  lines_.push_back(std::move(line));
}

void Figure::add(FigureShape shape) {
  order_.push_back({Kind::shape, shapes_.size()});
  shapes_.push_back(std::move(shape));
}

void Figure::add(FigureText text) {
  order_.push_back({Kind::text, texts_.size()});
  texts_.push_back(std::move(text));
}

std::string Figure::svg() const {
  const std::string width = number(width_), height = number(height_);
  std::string out = "<svg" + attribute("xmlns", "http://www.w3.org/2000/svg") +
                    attribute("width", width + "pt") + attribute("height", height + "pt") +
                    attribute("viewBox", "0 0 " + width + " " + height) + attribute("role", "img") +
                    attribute("font-family", "Helvetica, Arial, 'Liberation Sans', sans-serif") +
                    attribute("stroke-linejoin", "round") + ">\n<title>" + escape(title_) +
                    "</title>\n<rect" + attribute("width", width) + attribute("height", height) +
                    attribute("fill", "#ffffff") + "/>\n";
  for (const Item& item : order_) {
    switch (item.kind) {
      case Kind::line:
        out += svg_of(lines_[item.index]);
        break;
      case Kind::shape:
        out += svg_of(shapes_[item.index]);
        break;
      case Kind::text:
        out += svg_of(texts_[item.index]);
        break;
    }
  }
  return out + "</svg>\n";
}

double text_width(const std::string& text, double size, bool bold) {
  double width = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // goes on with a character
    width += byte >= ' ' && byte <= '~' ? kWidths[byte - ' '] : kUnknownWidth;
  }
  return width / 1000 * size * (bold ? kBoldWider : 1);
}

void check_figure_name(const std::string& flag, const std::string& path) {
  if (path.ends_with(".svg") || path.ends_with(".png")) return;
  throw ConfigError(flag + ": '" + path + "' is neither a .svg nor a .png; give such a name");
}

void write_figure(const Figure& figure, const std::string& path, double dpi) {
  if (path.ends_with(".svg")) {
    write_file_atomic(path, {figure.svg()});
    return;
  }
  const std::vector<uint8_t> bytes = figure.png(dpi);
  write_file_atomic(path, {{reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

}  // namespace resnet::cli
