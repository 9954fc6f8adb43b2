#include "legend.h"

#include <algorithm>

namespace resnet::cli {
namespace {

constexpr double kRow = 12.5, kSample = 24, kGap = 5, kPadding = 4, kBetween = 14;  // points
constexpr Colour kInk = {40, 40, 40}, kFrame = {200, 200, 200}, kWhite = {255, 255, 255};

double entry_width(const LegendEntry& entry) {
  return kSample + kGap + text_width(entry.text, kFontSize);
}

// The text cut so that the entry has at most this width.
std::string fitting(const LegendEntry& entry, double width) {
  constexpr double kRounding = 0.01;
  std::string text = entry.text;
  if (entry_width(entry) <= width + kRounding) return text;
  while (!text.empty() && kSample + kGap + text_width(text + "...", kFontSize) > width) {
    do {  // UTF-8 sequences stay whole
      const bool inner = (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80;
      text.pop_back();
      if (!inner) break;
    } while (!text.empty());
  }
  return text + "...";
}

void draw_entry(const LegendEntry& entry, XY at, double width, Figure* figure) {
  const double middle = at.y + kRow / 2;
  figure->add(FigureLine{{{at.x, middle}, {at.x + kSample, middle}}, entry.stroke});
  for (FigureShape& shape :
       marker_shapes(entry.marker, {at.x + kSample / 2, middle}, 5, entry.stroke.colour)) {
    figure->add(std::move(shape));
  }
  figure->add(FigureText{.text = fitting(entry, width),
                         .at = {at.x + kSample + kGap, middle + 0.36 * kFontSize},
                         .size = kFontSize,
                         .colour = kInk});
}

bool overlap(const Box& a, const Box& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// Rows of entries, as many in each as fit.
std::vector<std::vector<const LegendEntry*>> rows_of(const std::vector<LegendEntry>& entries,
                                                     double width) {
  std::vector<std::vector<const LegendEntry*>> rows;
  double used = width;
  for (const LegendEntry& entry : entries) {
    const double needed = std::min(entry_width(entry), width);
    if (rows.empty() || used + kBetween + needed > width) {
      rows.emplace_back();
      used = -kBetween;
    }
    rows.back().push_back(&entry);
    used += kBetween + needed;
  }
  return rows;
}

}  // namespace

std::optional<Box> free_corner(const std::vector<LegendEntry>& entries, const Box& panel,
                               const std::vector<std::vector<XY>>& lines,
                               const std::vector<Box>& taken) {
  constexpr double kMargin = 5, kClearance = 3, kMostShare = 0.75;
  double width = 0;
  for (const LegendEntry& entry : entries) width = std::max(width, entry_width(entry));
  width += 2 * kPadding;
  const double height = kRow * static_cast<double>(entries.size()) + 2 * kPadding - 2;
  if (width > kMostShare * panel.width() || height > kMostShare * panel.height()) return {};
  const double left = panel.left + kMargin, right = panel.right - kMargin - width;
  const double top = panel.top + kMargin, bottom = panel.bottom - kMargin - height;
  const double centre = (left + right) / 2, middle = (top + bottom) / 2;
  const XY corners[] = {{right, top},     {left, bottom}, {left, top},
                        {right, bottom},  {centre, top},  {right, middle},
                        {centre, bottom}, {left, middle}, {(centre + right) / 2, top}};
  for (const XY& corner : corners) {
    const Box box = {corner.x, corner.y, corner.x + width, corner.y + height};
    const Box wide = {box.left - kClearance, box.top - kClearance, box.right + kClearance,
                      box.bottom + kClearance};
    const bool covers_box =
        std::any_of(taken.begin(), taken.end(), [&](const Box& b) { return overlap(b, wide); });
    const bool covers_line = std::any_of(lines.begin(), lines.end(), [&](const auto& line) {
      for (size_t i = 0; i < line.size(); ++i) {
        XY a = line[i > 0 ? i - 1 : 0], b = line[i];
        if (clip(wide, &a, &b)) return true;
      }
      return false;
    });
    if (!covers_box && !covers_line) return box;
  }
  return {};
}

void draw_legend(const std::vector<LegendEntry>& entries, const Box& box, Figure* figure) {
  figure->add(FigureShape{
      {{box.left, box.top}, {box.right, box.top}, {box.right, box.bottom}, {box.left, box.bottom}},
      kWhite,
      {.colour = kFrame, .width = 0.5}});
  double y = box.top + kPadding - 1;
  for (const LegendEntry& entry : entries) {
    draw_entry(entry, {box.left + kPadding, y}, box.width() - 2 * kPadding, figure);
    y += kRow;
  }
}

double height_above(const std::vector<LegendEntry>& entries, double width) {
  return kRow * static_cast<double>(rows_of(entries, width).size()) + 3;
}

void draw_legend_above(const std::vector<LegendEntry>& entries, const Box& panel, Figure* figure) {
  double y = panel.top - height_above(entries, panel.width());
  for (const auto& row : rows_of(entries, panel.width())) {
    double x = panel.left;
    for (const LegendEntry* entry : row) {
      draw_entry(*entry, {x, y}, panel.width(), figure);
      x += entry_width(*entry) + kBetween;
    }
    y += kRow;
  }
}

}  // namespace resnet::cli
