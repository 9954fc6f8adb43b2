#include "report_charts.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace resnet::cli {
namespace {

std::string attribute(const char* name, double value) {
  return std::string(" ") + name + "='" + fixed(value, 1) + "'";
}

std::string rect(const char* style, double x, double y, double width, double height,
                 const std::string& tip = "", const std::string& more = "") {
  return std::string("<rect class='") + style + "'" + attribute("x", x) + attribute("y", y) +
         attribute("width", width) + attribute("height", height) + more + "><title>" + escape(tip) +
         "</title></rect>";
}

std::string line(const char* style, double x1, double y1, double x2, double y2) {
  return std::string("<line class='") + style + "'" + attribute("x1", x1) + attribute("y1", y1) +
         attribute("x2", x2) + attribute("y2", y2) + "/>";
}

// `anchor`: start, middle or end.
std::string label(const std::string& text, double x, double y, const char* anchor,
                  const std::string& more = "") {
  return "<text" + attribute("x", x) + attribute("y", y) + " text-anchor='" + anchor + "'" + more +
         ">" + escape(text) + "</text>";
}

std::string svg(double width, double height, const std::string& title, const std::string& content) {
  const std::string w = fixed(width, 0), h = fixed(height, 0);
  return "<svg viewBox='0 0 " + w + " " + h + "' width='" + w + "' height='" + h +
         "' role='img' aria-label='" + escape(title) + "'>" + content + "</svg>";
}

// At most `most` characters; UTF-8 sequences stay whole.
std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && ++characters > most) return text.substr(0, i) + "\u2026";
  }
  return text;
}

// Labels in the order of their errors, worst first.
std::vector<size_t> by_error(const std::vector<ClassCount>& counts) {
  std::vector<size_t> order;
  for (size_t k = 0; k < counts.size(); ++k) {
    if (counts[k].images > 0) order.push_back(k);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return counts[a].error() > counts[b].error(); });
  return order;
}

std::string matrix_labels(const TestReport& report, double left, double top, double cell) {
  const int64_t classes = report.log.classes();
  const int64_t step = cell >= 9 ? 1 : 10;  // names of all classes, or numbers of every tenth
  std::string out;
  for (int64_t k = 0; k < classes; k += step) {
    const std::string name = step == 1 ? shortened(report.names.of(k), 18) : std::to_string(k);
    const double middle = (static_cast<double>(k) + 0.5) * cell;
    out += label(name, left - 6, top + middle + 4, "end");
    const double x = left + middle + 4, y = top - 6;
    out += label(name, x, y, "start",
                 " transform='rotate(-60 " + fixed(x, 1) + " " + fixed(y, 1) + ")'");
  }
  return out;
}

}  // namespace

std::string reliability_diagram(const Calibration& calibration) {
  constexpr double side = 300, left = 50, top = 12, below = 60, gap = 14;
  const double base = top + side, floor = base + gap + below;
  const double step = side / static_cast<double>(calibration.bins.size());
  int64_t most = 1;
  for (const CalibrationBin& bin : calibration.bins) most = std::max(most, bin.images);

  std::string out;
  for (const int percent : {0, 25, 50, 75, 100}) {
    const double at = side * percent / 100;
    out += line("grid", left, base - at, left + side, base - at);
    out += label(std::to_string(percent), left - 8, base - at + 4, "end");
    out += label(std::to_string(percent), left + at, floor + 16, "middle");
  }
  double x = left;
  for (const CalibrationBin& bin : calibration.bins) {
    const std::string tip = "confidence " + fixed(100 * bin.low, 0) + " to " +
                            fixed(100 * bin.high, 0) + " %: " + std::to_string(bin.images) +
                            " images, " + fixed(100 * bin.accuracy, 1) +
                            " % right, mean confidence " + fixed(100 * bin.confidence, 1) + " %";
    const double height = bin.images > 0 ? side * bin.accuracy : 0;
    const double share = static_cast<double>(bin.images) / static_cast<double>(most);
    if (bin.images > 0) {
      out += rect("bar", x + 1, base - height, step - 2, height, tip);
      out += rect("count", x + 1, floor - below * share, step - 2, below * share, tip);
      const double cx = left + side * bin.confidence;
      out += line("mark", cx, base - height - 5, cx, base - height + 5);
    }
    x += step;
  }
  out += line("ideal", left, base, left + side, top) + line("axis", left, base, left + side, base);
  out += line("axis", left, floor, left + side, floor);
  out += label(std::to_string(most), left - 8, floor - below + 8, "end");
  out += label("confidence (top probability), %", left + side / 2, floor + 34, "middle");
  out += label("right, %", 0, 0, "middle",
               " transform='translate(14 " + fixed(top + side / 2, 0) + ") rotate(-90)'");
  out += label("images", 0, 0, "middle",
               " transform='translate(14 " + fixed(floor - below / 2, 0) + ") rotate(-90)'");
  return svg(left + side + 14, floor + 44, "reliability diagram", out);
}

std::string class_error_chart(const TestReport& report) {
  constexpr size_t kAll = 30, kWorst = 20, kBest = 8;
  constexpr double left = 210, width = 300, row = 22, top = 24, right = 130;
  const std::vector<ClassCount> counts = report.log.class_counts();
  std::vector<size_t> order = by_error(counts);
  size_t break_after = order.size();
  if (order.size() > kAll) {
    order.erase(order.begin() + kWorst, order.end() - kBest);
    break_after = kWorst;
  }
  double most = 0.01;
  for (const size_t k : order) {
    most = std::max(most, wilson_interval(counts[k].error(), counts[k].images).high);
  }
  std::string out;
  double y = top;
  for (size_t i = 0; i < order.size(); ++i, y += row) {
    if (i == break_after) {
      out += label("the best", left - 8, y + 14, "end", " class='note'");
      y += row;
    }
    const ClassCount& count = counts[order[i]];
    const std::string name = report.names.of(static_cast<int64_t>(order[i]));
    const Interval interval = wilson_interval(count.error(), count.images);
    const auto at = [&](double share) { return left + width * share / most; };
    out += label(shortened(name, 24), left - 8, y + 14, "end");
    out += rect("wrong", left, y + 3, at(count.error()) - left, row - 6,
                name + ": " + fixed(100 * count.error(), 2) + " %");
    out += line("mark", at(interval.low), y + row / 2, at(interval.high), y + row / 2);
    out += label(fixed(100 * count.error(), 1) + " %  (" + std::to_string(count.wrong) + " of " +
                     std::to_string(count.images) + ")",
                 left + width + 8, y + 14, "start");
  }
  out += line("axis", left, top, left, y);
  out += label("0", left, top - 8, "middle");
  out += label(fixed(100 * most, 0) + " %", left + width, top - 8, "middle");
  return svg(left + width + right, y + 8, "error by class", out);
}

std::string confusion_chart(const TestReport& report) {
  const int64_t classes = report.log.classes();
  const double cell = std::clamp(640.0 / static_cast<double>(classes), 6.0, 44.0);
  const double left = cell >= 9 ? 165 : 40, top = cell >= 9 ? 140 : 30;
  const double side = cell * static_cast<double>(classes);
  const std::vector<int64_t> counts = confusion_matrix(report.log);
  std::string out = rect("board", left, top, side, side);
  for (int64_t row = 0; row < classes; ++row) {
    const auto begin = counts.begin() + row * classes;
    const auto images = static_cast<double>(std::accumulate(begin, begin + classes, int64_t{0}));
    for (int64_t column = 0; column < classes; ++column) {
      const int64_t count = begin[column];
      if (count == 0) continue;
      const double share = static_cast<double>(count) / images;
      // Mistakes are rare beside what is right: the root of their share makes them visible.
      const double opacity = row == column ? 0.15 + 0.6 * share : 0.15 + 0.85 * std::sqrt(share);
      const double x = left + static_cast<double>(column) * cell;
      const double y = top + static_cast<double>(row) * cell;
      out += rect(row == column ? "right" : "wrong", x, y, cell - 1, cell - 1,
                  report.names.of(row) + " taken for " + report.names.of(column) + ": " +
                      std::to_string(count) + " of " + fixed(images, 0),
                  " fill-opacity='" + fixed(opacity, 2) + "'");
      if (cell >= 26) out += label(std::to_string(count), x + cell / 2, y + cell / 2 + 4, "middle");
    }
  }
  out += matrix_labels(report, left, top, cell);
  return svg(left + side + 80, top + side + 8, "confusion matrix", out);
}

}  // namespace resnet::cli
