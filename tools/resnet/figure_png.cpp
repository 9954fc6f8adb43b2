// Figures as pixels. Everything is drawn at twice the size and then reduced. OpenCV brings stroke fonts only;
// text is set in one of them and fitted to the widths of Helvetica, so that a layout serves SVG and PNG.
#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "figure.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

constexpr int kOversampling = 2;
constexpr int kShift = 4;  // OpenCV's coordinates in sixteenths of a pixel

class Canvas {
 public:
  Canvas(double width, double height, double dpi)
      : scale_(dpi * kOversampling / 72),
        image_(pixels(height), pixels(width), CV_8UC3, cv::Scalar::all(255)) {}

  void draw(const FigureLine& line) {
    if (line.stroke.dashes.empty()) {
      stroke(line.points, line.stroke);
    } else {
      for (const std::vector<XY>& dash : dashes_of(line)) stroke(dash, line.stroke);
    }
  }

  void draw(const FigureShape& shape) {
    const std::vector<cv::Point> corners = to_pixels(shape.points);
    cv::fillPoly(image_, std::vector<std::vector<cv::Point>>{corners}, scalar(shape.fill),
                 cv::LINE_AA, kShift);
    if (shape.outline.width <= 0) return;
    cv::polylines(image_, corners, true, scalar(shape.outline.colour),
                  thickness(shape.outline.width), cv::LINE_AA, kShift);
  }

  void draw(const FigureText& text) {
    cv::Mat mask = text_mask(text);
    const int below =
        cvRound(kBelow * text.size * scale_);  // pixels of the mask under the base line
    int x = cvRound(text.at.x * scale_), y = cvRound(text.at.y * scale_);
    const int length = mask.cols;
    const int before = text.align == Align::left     ? 0
                       : text.align == Align::centre ? length / 2
                                                     : length;
    if (text.upwards) {
      cv::rotate(mask, mask, cv::ROTATE_90_COUNTERCLOCKWISE);
      x -= mask.cols - below;
      y -= length - before;
    } else {
      x -= before;
      y -= mask.rows - below;
    }
    blend(mask, x, y, text.colour);
  }

  std::vector<uint8_t> png() const {
    cv::Mat reduced;
    cv::resize(image_, reduced, {image_.cols / kOversampling, image_.rows / kOversampling}, 0, 0,
               cv::INTER_AREA);
    std::vector<uint8_t> bytes;
    if (!cv::imencode(".png", reduced, bytes)) throw InternalError("cannot encode a PNG");
    return bytes;
  }

 private:
  static constexpr double kAbove = 1.0,
                          kBelow = 0.3;  // room over and under the base line, of the size

  int pixels(double points) const {
    return std::max(1, cvRound(points * scale_ / kOversampling)) * kOversampling;
  }
  static cv::Scalar scalar(const Colour& c) {
    return {double(c.blue), double(c.green), double(c.red)};
  }
  int thickness(double points) const { return std::max(1, cvRound(points * scale_)); }

  std::vector<cv::Point> to_pixels(const std::vector<XY>& points) const {
    std::vector<cv::Point> out;
    out.reserve(points.size());
    // OpenCV's pixels have their centres at whole numbers.
    const auto fixed_point = [&](double at) {
      return cvRound((at * scale_ - 0.5) * (1 << kShift));
    };
    for (const XY& p : points) out.emplace_back(fixed_point(p.x), fixed_point(p.y));
    return out;
  }

  void stroke(const std::vector<XY>& points, const Stroke& style) {
    cv::polylines(image_, to_pixels(points), false, scalar(style.colour), thickness(style.width),
                  cv::LINE_AA, kShift);
  }

  // OpenCV's ends are round: dashes are shorter by the width, to look as long as SVG's.
  static std::vector<std::vector<XY>> dashes_of(const FigureLine& line) {
    std::vector<std::vector<XY>> dashes;
    const std::vector<double>& lengths = line.stroke.dashes;
    const double trim = line.stroke.width / 2;
    size_t part = 0;
    double left = lengths[0];  // of this dash or gap
    for (size_t i = 0; i + 1 < line.points.size(); ++i) {
      const XY a = line.points[i], b = line.points[i + 1];
      const double length = std::hypot(b.x - a.x, b.y - a.y);
      double done = 0;
      const auto at = [&](double along) {
        const double t = length > 0 ? along / length : 0;
        return XY{a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t};
      };
      if (part % 2 == 0 && (dashes.empty() || i == 0)) dashes.push_back({a});
      while (length - done > left) {
        done += left;
        if (part % 2 == 0) {
          dashes.back().push_back(at(std::max(done - trim, 0.0)));
        } else {
          dashes.push_back({at(std::min(done + trim, length))});
        }
        part = (part + 1) % (lengths.size() % 2 == 0 ? lengths.size() : 2 * lengths.size());
        left = lengths[part % lengths.size()];
      }
      left -= length - done;
      if (part % 2 == 0) dashes.back().push_back(b);
    }
    return dashes;
  }

  // White on black, the height kAbove + kBelow of the size, the width that Helvetica has. The font's hyphen is
  // as long as a minus: hyphens are drawn as lines.
  cv::Mat text_mask(const FigureText& text) const {
    cv::Mat mask(mask_height(text), mask_width(text.text, text), CV_8U, cv::Scalar(0));
    for (size_t begin = 0, end = 0; begin < text.text.size(); begin = end) {
      const bool hyphen = text.text[begin] == '-';
      end = hyphen ? begin + 1 : std::min(text.text.find('-', begin), text.text.size());
      const std::string piece = text.text.substr(begin, end - begin);
      const int x = begin == 0 ? 0 : mask_width(text.text.substr(0, begin), text);
      const int width = std::min(mask_width(piece, text), mask.cols - x);
      if (width <= 0) continue;
      cv::Mat place = mask(cv::Rect(x, 0, width, mask.rows));
      if (hyphen) {
        draw_hyphen(text, place);
      } else {
        piece_mask(piece, text, width).copyTo(place);
      }
    }
    return mask;
  }

  int mask_height(const FigureText& text) const {
    return std::max(1, cvRound(text.size * scale_ * (kAbove + kBelow)));
  }
  int mask_width(const std::string& piece, const FigureText& text) const {
    return std::max(1, cvRound(text_width(piece, text.size, text.bold) * scale_));
  }
  int pen(const FigureText& text) const {
    return std::max(1, cvRound(text.size * scale_ * (text.bold ? 0.125 : 0.082)));
  }

  void draw_hyphen(const FigureText& text, cv::Mat mask) const {
    const double size = text.size * scale_;
    const int y = mask.rows - cvRound(size * (kBelow + 0.27)), ends = cvRound(size * 0.09);
    cv::line(mask, {ends, y}, {std::max(ends, mask.cols - 1 - ends), y}, cv::Scalar(255), pen(text),
             cv::LINE_AA);
  }

  // Set in OpenCV's font, then stretched to the width.
  cv::Mat piece_mask(const std::string& piece, const FigureText& text, int width) const {
    constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
    constexpr double kCapitals = 0.718,
                     kFontCapitals = 21;  // heights: of the size, the font's units
    const double size = text.size * scale_;
    const int weight = pen(text);
    const double font_scale = std::max((size * kCapitals - weight) / kFontCapitals, 0.1);
    const std::string ascii = ascii_of(piece);
    const int natural =
        std::max(1, cv::getTextSize(ascii, kFont, font_scale, weight, nullptr).width);
    cv::Mat mask(mask_height(text), natural, CV_8U, cv::Scalar(0));
    // A stroke reaches half its width under the base line.
    const cv::Point origin(weight / 2, mask.rows - cvRound(size * kBelow) - weight / 2);
    cv::putText(mask, ascii, origin, kFont, font_scale, cv::Scalar(255), weight, cv::LINE_AA);
    cv::resize(mask, mask, {width, mask.rows}, 0, 0,
               width < natural ? cv::INTER_AREA : cv::INTER_LINEAR);
    return mask;
  }

  static std::string ascii_of(const std::string& text) {
    std::string ascii;
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if ((byte & 0xC0) == 0x80) continue;
      ascii += byte >= ' ' && byte <= '~' ? c : '?';
    }
    return ascii;
  }

  // Paints where the mask is white; its corner comes to (x, y).
  void blend(const cv::Mat& mask, int x, int y, const Colour& colour) {
    const cv::Rect whole(0, 0, image_.cols, image_.rows);
    const cv::Rect area = cv::Rect(x, y, mask.cols, mask.rows) & whole;
    const std::array<int, 3> ink = {colour.blue, colour.green, colour.red};
    for (int row = area.y; row < area.y + area.height; ++row) {
      const uint8_t* const share = mask.ptr<uint8_t>(row - y);
      auto* const pixel = image_.ptr<cv::Vec3b>(row);
      for (int column = area.x; column < area.x + area.width; ++column) {
        const int alpha = share[column - x];
        for (int c = 0; c < 3; ++c) {
          pixel[column][c] = static_cast<uint8_t>(
              (pixel[column][c] * (255 - alpha) + ink[static_cast<size_t>(c)] * alpha + 127) / 255);
        }
      }
    }
  }

  double scale_;  // pixels a point
  cv::Mat image_;
};

}  // namespace

std::vector<uint8_t> Figure::png(double dpi) const {
  Canvas canvas(width_, height_, dpi);
  for (const Item& item : order_) {
    switch (item.kind) {
      case Kind::line:
        canvas.draw(lines_[item.index]);
        break;
      case Kind::shape:
        canvas.draw(shapes_[item.index]);
        break;
      case Kind::text:
        canvas.draw(texts_[item.index]);
        break;
    }
  }
  return canvas.png();
}

}  // namespace resnet::cli
