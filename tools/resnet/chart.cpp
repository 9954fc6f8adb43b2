#include "chart.h"

#include <algorithm>
#include <cmath>

#include "axes.h"
#include "curve_lines.h"
#include "legend.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

constexpr Colour kInk = {40, 40, 40}, kGrid = {226, 226, 226}, kMark = {110, 110, 110},
                 kWhite = {255, 255, 255};
constexpr double kTitleSize = 10,
                 kLine = 13;  // points: font, and from one line of text to the next
constexpr double kTickLength = 2.5, kGap = 3, kMargin = 5, kBetweenPanels = 12;

// A panel with all that its place is needed for.
struct Plan {
  const ChartPanel* panel = nullptr;
  std::vector<Curve> curves;  // thinned
  Axis y = {{0, 1}, false};
  Box area;
  double above = 0;  // height of the legend over the area; 0: inside
};

class Drawing {
 public:
  Drawing(const Chart& chart, std::vector<std::string>* notes)
      : chart_(chart),
        notes_(*notes),
        x_(x_range(), false),
        figure_(chart.width, chart.height, chart.title.empty() ? "training curves" : chart.title) {}

  Figure run() {
    for (const ChartPanel& panel : chart_.panels) plans_.push_back(plan(panel));
    // Without room for legends first: they go into the panels where they can. A panel that becomes lower
    // may lose that room.
    lay_out();
    for (size_t i = 0; i < plans_.size(); ++i) {
      Plan& plan = plans_[i];
      const std::vector<LegendEntry>& legend = plan.panel->legend;
      if (legend.empty() || plan.above > 0 || legend_box(plan)) continue;
      plan.above = height_above(legend, plan.area.width());
      lay_out();
      i = static_cast<size_t>(-1);  // once more from the first
    }
    constexpr double kLeast = 20;  // points
    if (plans_[0].area.height() < kLeast || plans_[0].area.width() < kLeast) {
      throw ConfigError(
          "the figure has no room for its curves beside labels and legend; make it larger");
    }
    draw_titles();
    for (const Plan& plan : plans_) draw_panel(plan);
    draw_x_labels();
    return std::move(figure_);
  }

 private:
  Range x_range() const {
    if (chart_.x_range) return *chart_.x_range;
    double last = 0;
    for (const ChartPanel& panel : chart_.panels) {
      for (const ChartCurve& curve : panel.curves) {
        if (!curve.points.empty()) last = std::max(last, curve.points.back().iteration);
      }
    }
    return {0, std::max(last, 1.0)};
  }

  bool in_x_range(double iteration) const {
    return iteration >= x_.range().low && iteration <= x_.range().high;
  }

  Plan plan(const ChartPanel& panel) {
    constexpr double kColumnsAPoint = 2;
    Plan plan;
    plan.panel = &panel;
    for (const ChartCurve& curve : panel.curves) {
      plan.curves.push_back(
          thinned(curve.points, x_.range(), static_cast<int>(kColumnsAPoint * chart_.width)));
    }
    plan.y = y_axis(panel, plan.curves);
    return plan;
  }

  Axis y_axis(const ChartPanel& panel, const std::vector<Curve>& curves) {
    constexpr double kWide = 15;  // high over low from which a logarithmic axis shows more
    double low = INFINITY, positive = INFINITY, high = -INFINITY;
    int hidden = 0;
    for (const Curve& curve : curves) {
      for (const CurvePoint& p : curve) {
        if (!in_x_range(p.iteration) || !std::isfinite(p.value)) continue;
        low = std::min(low, p.value);
        high = std::max(high, p.value);
        if (p.value > 0) positive = std::min(positive, p.value);
        hidden += p.value <= 0;
      }
    }
    if (high < low) {
      throw DataError(panel.title + ": has no value in the range that is drawn; nothing to draw");
    }
    const bool logarithmic = panel.scale == Scale::logarithmic ||
                             (panel.scale == Scale::automatic && low > 0 && high / low > kWide);
    if (!logarithmic) return {panel.range.value_or(linear_range(low, high)), false};
    if (hidden > 0) {
      notes_.push_back(panel.title + ": " + std::to_string(hidden) +
                       " values that are not above 0 have no place on a logarithmic axis");
    }
    if (high <= 0) {
      throw DataError(panel.title +
                      ": has no value above 0; a logarithmic axis has nothing to show");
    }
    constexpr double kRoom = 1.15;
    return {panel.range.value_or(Range{positive / kRoom, high * kRoom}), true};
  }

  static Range linear_range(double low, double high) {
    constexpr double kRoom = 0.05;
    if (low == high)
      return low == 0 ? Range{0, 1} : Range{std::min(0.0, 1.5 * low), std::max(0.0, 1.5 * low)};
    const double from = std::min(low, 0.0);
    const double room = kRoom * (high - from);
    return {low < 0 ? low - room : 0, high + room};
  }

  std::vector<Tick> y_ticks(const Plan& plan) const {
    constexpr double kApart = 20;  // points between labels
    return ticks(plan.y, std::max(2, static_cast<int>(plan.area.height() / kApart)));
  }

  std::vector<Tick> x_ticks() const {
    constexpr double kApart = 34;
    const double unit = iteration_unit(x_.range().high);
    return ticks(x_, std::max(2, static_cast<int>(plans_[0].area.width() / kApart)), unit);
  }

  void lay_out() {
    double top = kMargin;
    if (!chart_.title.empty()) top += kLine + 1;
    if (!chart_.subtitle.empty()) top += kLine;
    if (top > kMargin) top += kGap;
    const double bottom = chart_.height - (2 * kLine + kTickLength + kGap);
    const auto count = static_cast<double>(plans_.size());
    double above = 0;
    for (const Plan& plan : plans_) above += plan.above;
    const double height = (bottom - top - above - kBetweenPanels * (count - 1)) / count;
    double y = top;
    for (Plan& plan : plans_) {
      plan.area = {0, y + plan.above, chart_.width, y + plan.above + height};
      y = plan.area.bottom + kBetweenPanels;
    }
    double labels = 0;  // the widest beside the y axes
    for (const Plan& plan : plans_) {
      for (const Tick& tick : y_ticks(plan)) {
        labels = std::max(labels, text_width(tick.label, kFontSize));
      }
    }
    const double left = kMargin + kFontSize + kGap + labels + kGap + kTickLength;
    for (Plan& plan : plans_) {
      plan.area.left = left;
      plan.area.right = chart_.width - kMargin;
    }
    // Half of a label at the right end may stand over.
    for (const Tick& tick : x_ticks()) {
      const double over = plans_[0].area.left + x_.share(tick.value) * plans_[0].area.width() +
                          text_width(tick.label, kFontSize) / 2 - (chart_.width - 2);
      if (over <= 0) continue;
      for (Plan& plan : plans_) plan.area.right -= over;
    }
  }

  std::vector<XY> placed(const Plan& plan, const Curve& curve) const {
    std::vector<XY> points;
    for (const CurvePoint& p : curve) {
      points.push_back({plan.area.left + x_.share(p.iteration) * plan.area.width(),
                        plan.area.bottom - plan.y.share(p.value) * plan.area.height()});
    }
    return points;
  }

  double x_at(const Plan& plan, double iteration) const {
    return plan.area.left + x_.share(iteration) * plan.area.width();
  }

  // The labels of the marks, with their places; those that would cover another are left out.
  std::vector<FigureText> mark_labels(const Plan& plan, std::vector<Box>* boxes) const {
    std::vector<FigureText> labels;
    double free_from = plan.area.left;
    for (const ChartMark& mark : chart_.marks) {
      const double x = x_at(plan, mark.iteration);
      const double end = x + kGap + text_width(mark.text, kFontSize);
      if (!in_x_range(mark.iteration) || x < free_from || end > plan.area.right) continue;
      labels.push_back({.text = mark.text,
                        .at = {x + kGap, plan.area.top + kFontSize + 1},
                        .size = kFontSize,
                        .colour = kMark});
      boxes->push_back({x, plan.area.top, end, plan.area.top + kLine});
      free_from = end + kGap;
    }
    return labels;
  }

  std::optional<Box> legend_box(const Plan& plan) const {
    std::vector<std::vector<XY>> lines;
    for (const Curve& curve : plan.curves) {
      for (auto& part : visible_parts(placed(plan, curve), plan.area)) lines.push_back(part);
    }
    std::vector<Box> taken;
    if (&plan == &plans_[0]) mark_labels(plan, &taken);
    return free_corner(plan.panel->legend, plan.area, lines, taken);
  }

  void draw_titles() {
    double y = kMargin + kTitleSize - 1;
    if (!chart_.title.empty()) {
      figure_.add(FigureText{.text = chart_.title,
                             .at = {plans_[0].area.left, y},
                             .size = kTitleSize,
                             .colour = kInk,
                             .bold = true});
      y += kLine;
    }
    if (!chart_.subtitle.empty()) {
      figure_.add(FigureText{.text = chart_.subtitle,
                             .at = {plans_[0].area.left, y},
                             .size = kFontSize,
                             .colour = kInk});
    }
  }

  void line(XY from, XY to, const Stroke& stroke) { figure_.add(FigureLine{{from, to}, stroke}); }

  void draw_panel(const Plan& plan) {
    const Box& area = plan.area;
    const Stroke grid = {.colour = kGrid, .width = 0.5}, axis = {.colour = kInk, .width = 0.6};
    for (const Tick& tick : x_ticks()) {
      const double x = x_at(plan, tick.value);
      line({x, area.top}, {x, area.bottom}, grid);
      line({x, area.bottom}, {x, area.bottom + kTickLength}, axis);
    }
    for (const Tick& tick : y_ticks(plan)) {
      const double y = area.bottom - plan.y.share(tick.value) * area.height();
      line({area.left, y}, {area.right, y}, grid);
      if (tick.label.empty()) continue;
      line({area.left - kTickLength, y}, {area.left, y}, axis);
      figure_.add(FigureText{.text = tick.label,
                             .at = {area.left - kTickLength - kGap, y + 0.34 * kFontSize},
                             .size = kFontSize,
                             .align = Align::right,
                             .colour = kInk});
    }
    draw_marks(plan);
    draw_curves(plan);
    figure_.add(FigureLine{{{area.left, area.top},
                            {area.right, area.top},
                            {area.right, area.bottom},
                            {area.left, area.bottom},
                            {area.left, area.top}},
                           axis});
    figure_.add(FigureText{.text = plan.panel->title,
                           .at = {kMargin + kFontSize - 1, (area.top + area.bottom) / 2},
                           .size = kFontSize,
                           .align = Align::centre,
                           .colour = kInk,
                           .upwards = true});
    if (plan.panel->legend.empty()) return;
    if (plan.above > 0) {
      draw_legend_above(plan.panel->legend, area, &figure_);
    } else if (const auto box = legend_box(plan)) {
      draw_legend(plan.panel->legend, *box, &figure_);
    }
  }

  void draw_marks(const Plan& plan) {
    const Stroke dashed = {.colour = kMark, .width = 0.5, .dashes = {2, 2}};
    for (const ChartMark& mark : chart_.marks) {
      if (mark.iteration <= x_.range().low || !in_x_range(mark.iteration)) continue;
      const double x = x_at(plan, mark.iteration);
      line({x, plan.area.top}, {x, plan.area.bottom}, dashed);
    }
    if (&plan != &plans_[0]) return;
    std::vector<Box> boxes;
    std::vector<FigureText> labels = mark_labels(plan, &boxes);
    for (const Box& box : boxes) {  // the grid ends beside a label
      const double left = box.left + 1, top = box.top + 1;
      figure_.add(FigureShape{
          {{left, top}, {box.right, top}, {box.right, box.bottom}, {left, box.bottom}}, kWhite});
    }
    for (FigureText& label : labels) figure_.add(std::move(label));
  }

  void draw_curves(const Plan& plan) {
    constexpr double kMarkerSpacing = 44;
    const auto count = static_cast<double>(plan.curves.size());
    for (size_t i = 0; i < plan.curves.size(); ++i) {
      const ChartCurve& curve = plan.panel->curves[i];
      for (std::vector<XY>& part : visible_parts(placed(plan, plan.curves[i]), plan.area)) {
        if (part.size() > 1) {
          figure_.add(FigureLine{std::move(part), curve.stroke, curve.name});
        } else {
          const double size = 2.2 * curve.stroke.width;
          for (FigureShape& dot : marker_shapes(Marker::disc, part[0], size, curve.stroke.colour)) {
            figure_.add(std::move(dot));
          }
        }
      }
    }
    for (size_t i = 0; i < plan.curves.size(); ++i) {
      const ChartCurve& curve = plan.panel->curves[i];
      if (curve.marker == Marker::none) continue;
      const double offset = kMarkerSpacing * (static_cast<double>(i) + 0.5) / count;
      for (const XY& at :
           marked_points(placed(plan, plan.curves[i]), plan.area, kMarkerSpacing, offset)) {
        for (FigureShape& shape :
             marker_shapes(curve.marker, at, curve.marker_size, curve.stroke.colour)) {
          figure_.add(std::move(shape));
        }
      }
    }
  }

  void draw_x_labels() {
    const Plan& plan = plans_.back();
    const double y = plan.area.bottom + kTickLength + kGap + 0.72 * kFontSize;
    for (const Tick& tick : x_ticks()) {
      figure_.add(FigureText{.text = tick.label,
                             .at = {x_at(plan, tick.value), y},
                             .size = kFontSize,
                             .align = Align::centre,
                             .colour = kInk});
    }
    const double unit = iteration_unit(x_.range().high);
    figure_.add(FigureText{
        .text = unit > 1 ? "iteration (1e" + formatted("%.0f)", std::log10(unit)) : "iteration",
        .at = {(plan.area.left + plan.area.right) / 2, y + kLine - 1},
        .size = kFontSize,
        .align = Align::centre,
        .colour = kInk});
  }

  const Chart& chart_;
  std::vector<std::string>& notes_;
  const Axis x_;
  std::vector<Plan> plans_;
  Figure figure_;
};

}  // namespace

Figure draw(const Chart& chart, std::vector<std::string>* notes) {
  return Drawing(chart, notes).run();
}

}  // namespace resnet::cli
