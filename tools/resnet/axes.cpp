#include "axes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace resnet::cli {
namespace {

// Room for rounding at the ends of a range.
bool inside(double value, const Range& range) {
  const double slack = 1e-6 * (range.high - range.low);
  return value >= range.low - slack && value <= range.high + slack;
}

std::vector<Tick> linear_ticks(const Range& range, int most, double unit) {
  const double rough = (range.high - range.low) / std::max(most, 1);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double m : {5.0, 2.0, 1.0}) {
    if (m * power >= rough * (1 - 1e-9)) step = m * power;
  }
  std::vector<Tick> out;
  for (double k = std::ceil(range.low / step - 1e-6); k * step <= range.high + 1e-6 * step; ++k) {
    const double shown = k * step / unit + 0.0;  // no -0
    out.push_back({k * step, std::abs(shown) >= 1000 ? grouped(shown) : formatted("%g", shown)});
  }
  return out;
}

std::vector<Tick> logarithmic_ticks(const Range& range, int most) {
  const int first = static_cast<int>(std::floor(std::log10(range.low)));
  const int last = static_cast<int>(std::ceil(std::log10(range.high)));
  // Which multiples have labels: as many as there is room for.
  const std::vector<std::vector<int>> choices = {
      {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 5, 7}, {1, 2, 5}, {1, 3}, {1}};
  const double decades = std::log10(range.high / range.low);
  std::vector<int> labelled = {1};
  for (const std::vector<int>& choice : choices) {
    if (static_cast<double>(choice.size()) * decades <= most) {
      labelled = choice;
      break;
    }
  }
  const int every = std::max(1, static_cast<int>(std::ceil(decades / std::max(most, 1))));
  std::vector<Tick> out;
  for (int power = first; power <= last; ++power) {
    for (int m = 1; m <= 9; ++m) {
      const double value = m * std::pow(10, power);
      if (!inside(value, range)) continue;
      const bool label = std::find(labelled.begin(), labelled.end(), m) != labelled.end() &&
                         (m > 1 || power % every == 0);
      if (decades > 3 && m > 1) continue;  // too many lines
      out.push_back({value, label ? formatted("%g", value) : ""});
    }
  }
  return out;
}

}  // namespace

double Axis::share(double value) const {
  if (!logarithmic_) return (value - range_.low) / (range_.high - range_.low);
  if (value <= 0) return NAN;
  return std::log10(value / range_.low) / std::log10(range_.high / range_.low);
}

std::vector<Tick> ticks(const Axis& axis, int most, double unit) {
  constexpr double kFewTicks = 3;  // below this ratio of its ends, powers of ten give too few
  const Range range = axis.range();
  return axis.logarithmic() && range.high / range.low > kFewTicks ? logarithmic_ticks(range, most)
                                                                  : linear_ticks(range, most, unit);
}

double iteration_unit(double highest) {
  if (highest < 1e4) return 1;
  return highest < 2e6 ? 1e4 : 1e6;
}

std::string grouped(double value) {
  std::string digits = formatted("%.0f", value);
  const int first = value < 0 ? 2 : 1;  // no comma before this position
  for (int i = static_cast<int>(digits.size()) - 3; i >= first; i -= 3) {
    digits.insert(static_cast<size_t>(i), ",");
  }
  return digits;
}

std::string formatted(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

}  // namespace resnet::cli
