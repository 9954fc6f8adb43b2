// A drawing made of lines, filled shapes and text, which is written as SVG or as PNG.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace resnet::cli {

struct Colour {
  uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

// Points (1/72 inch) from the left and from the top.
struct XY {
  double x = 0, y = 0;
};

struct Stroke {
  Colour colour;
  double width = 1;                 // points
  std::vector<double> dashes = {};  // lengths of dashes and gaps in turn; empty: solid
};

struct FigureLine {
  std::vector<XY> points;
  Stroke stroke;
  std::string name = {};  // of a curve: SVG has it as the title
};

// A filled polygon with an outline.
struct FigureShape {
  std::vector<XY> points;
  Colour fill;
  Stroke outline = {.colour = {}, .width = 0};  // width 0: none
};

enum class Align { left, centre, right };

struct FigureText {
  std::string text;  // UTF-8; PNG has '?' for what is not ASCII
  XY at;             // on the base line
  double size = 9;   // points
  Align align = Align::left;
  Colour colour;
  bool bold = false;
  bool upwards = false;  // turned by a quarter, read from below
};

// What is added later lies above.
class Figure {
 public:
  Figure(double width, double height,
         std::string title);  // points; the title is no text of the drawing

  void add(FigureLine line);
  void add(FigureShape shape);
  void add(FigureText text);

  std::string svg() const;
  // PNG with this many pixels an inch.
  std::vector<uint8_t> png(double dpi) const;

 private:
  enum class Kind { line, shape, text };
  struct Item {
    Kind kind;
    size_t index;
  };
  double width_, height_;
  std::string title_;
  std::vector<Item> order_;
  std::vector<FigureLine> lines_;
  std::vector<FigureShape> shapes_;
  std::vector<FigureText> texts_;
};

// Width in points of a text in Helvetica, which figures are set in.
double text_width(const std::string& text, double size, bool bold = false);

// Throws ConfigError naming `flag` unless the file's name ends in .svg or .png.
void check_figure_name(const std::string& flag, const std::string& path);

// Writes the figure in the form that the name's end asks for; a PNG has `dpi` pixels an inch. Throws
// DataError when the file cannot be written.
void write_figure(const Figure& figure, const std::string& path, double dpi);

}  // namespace resnet::cli
