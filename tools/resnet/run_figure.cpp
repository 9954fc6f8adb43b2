#include "run_figure.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "axes.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

// Told apart by people with any colour vision: Okabe and Ito's palette without its yellow, which is too light
// for thin lines.
constexpr std::array kColours = {Colour{0, 114, 178},   Colour{213, 94, 0},  Colour{0, 0, 0},
                                 Colour{204, 121, 167}, Colour{0, 158, 115}, Colour{230, 159, 0},
                                 Colour{86, 180, 233}};
constexpr std::array kMarkers = {Marker::circle,  Marker::square,        Marker::triangle,
                                 Marker::diamond, Marker::down_triangle, Marker::disc};
constexpr Colour kNeutral = {90, 90, 90};
constexpr double kThin = 0.8, kBold = 1.6, kPlain = 1.2;  // points

Stroke training_stroke(const Colour& colour) {
  return {.colour = colour, .width = kThin, .dashes = {2.6, 1.7}};
}
Stroke test_stroke(const Colour& colour) { return {.colour = colour, .width = kBold}; }

const char* title_of(Quantity what) {
  return what == Quantity::error ? "error (%)" : what == Quantity::loss ? "loss" : "learning rate";
}

const Curve& training_curve(const RunLog& run, Quantity what) {
  return what == Quantity::error ? run.train_error : what == Quantity::loss ? run.loss : run.rate;
}

const Curve& test_curve(const RunLog& run, Quantity what) {
  static const Curve none;
  return what == Quantity::error ? run.test_error : what == Quantity::loss ? run.test_loss : none;
}

// Means over `count` points around each, fewer at the ends.
Curve smoothed(const Curve& curve, int count) {
  if (count <= 1) return curve;
  Curve out = curve;
  const auto size = static_cast<std::ptrdiff_t>(curve.size());
  for (std::ptrdiff_t i = 0; i < size; ++i) {
    const std::ptrdiff_t reach =
        std::min({static_cast<std::ptrdiff_t>(count / 2), i, size - 1 - i});
    double sum = 0, finite = 0;
    for (std::ptrdiff_t k = i - reach; k <= i + reach; ++k) {
      const double value = curve[static_cast<size_t>(k)].value;
      if (!std::isfinite(value)) continue;
      sum += value;
      ++finite;
    }
    out[static_cast<size_t>(i)].value = finite > 0 ? sum / finite : NAN;
  }
  return out;
}

ChartPanel make_panel(const std::vector<RunLog>& runs, const RunFigureOptions& options,
                      Quantity what, std::vector<std::string>* notes) {
  ChartPanel panel;
  panel.title = title_of(what);
  panel.scale = options.logarithmic ? Scale::logarithmic : Scale::linear;
  panel.range = options.y_range;
  const bool several = runs.size() > 1;
  bool any_training = false, any_test = false;
  for (const RunLog& run : runs) {
    any_training |= has_value(training_curve(run, what));
    any_test |= has_value(test_curve(run, what));
  }
  if (!any_training && !any_test) {
    throw DataError(runs[0].path + ": logs no " + panel.title +
                    (what == Quantity::error
                         ? "; add an Accuracy layer to the net, or draw --what=loss"
                         : "; draw something else with --what"));
  }
  std::vector<ChartCurve> tests;
  for (size_t i = 0; i < runs.size(); ++i) {
    const Colour colour = kColours[i % kColours.size()];
    const Marker marker = several ? kMarkers[i % kMarkers.size()] : Marker::none;
    const std::string& name = options.labels[i];
    const Curve& training = training_curve(runs[i], what);
    const Curve& test = test_curve(runs[i], what);
    const bool trains = has_value(training), is_tested = has_value(test);
    if (!trains && !is_tested) {
      notes->push_back(runs[i].path + ": logs no " + panel.title + " and is left out");
      continue;
    }
    // What stands alone needs no dashes.
    const Stroke alone = {.colour = colour, .width = kPlain};
    if (trains) {
      panel.curves.push_back({.name = name + ", training",
                              .points = smoothed(training, options.smooth),
                              .stroke = any_test ? training_stroke(colour) : alone,
                              .marker = marker,
                              .marker_size = any_test ? 3.6 : 5});
    }
    // A single run has a colour for each of both.
    const Colour test_colour = several ? colour : kColours[1];
    if (is_tested) {
      tests.push_back({.name = name + ", test",
                       .points = test,
                       .stroke = test_stroke(test_colour),
                       .marker = marker});
    }
    if (several) {
      panel.legend.push_back({name, is_tested ? test_stroke(colour) : alone, marker});
    } else if (any_training && any_test) {
      panel.legend.push_back({"training", training_stroke(colour)});
      panel.legend.push_back({"test", test_stroke(test_colour)});
    } else if (!name.empty()) {
      panel.legend.push_back({name, is_tested ? test_stroke(test_colour) : alone});
    }
  }
  if (several && any_training && any_test) {
    panel.legend.push_back({"training", training_stroke(kNeutral)});
    panel.legend.push_back({"test", test_stroke(kNeutral)});
  }
  for (ChartCurve& test : tests) panel.curves.push_back(std::move(test));
  return panel;
}

// Where the learning rate changed, unless it does so all the time.
std::vector<ChartMark> rate_marks(const Curve& rate) {
  constexpr size_t kMost = 8;
  std::vector<ChartMark> marks;
  double last = NAN;
  for (const CurvePoint& p : rate) {
    if (p.value == last || !std::isfinite(p.value)) continue;
    marks.push_back({marks.empty() ? 0 : p.iteration, "lr " + formatted("%g", p.value)});
    last = p.value;
  }
  if (marks.size() > kMost) marks.clear();
  return marks;
}

std::string summary(const RunLog& run) {
  std::string text = grouped(run.last_iteration()) + " iterations";
  if (run.batch > 0) text += " of " + grouped(run.batch) + " images";
  if (run.epoch > 0) text += " (" + formatted("%.1f", run.epoch) + " epochs)";
  if (!run.loss.empty()) text += ", loss " + formatted("%.4g", run.loss.back().value);
  if (has_value(run.test_error)) {
    double lowest = INFINITY;
    for (const CurvePoint& p : run.test_error) lowest = std::fmin(lowest, p.value);
    const double last = run.test_error.back().value;
    text += ", test error " + formatted("%.2f %%", last);
    if (lowest < last) text += " (lowest " + formatted("%.2f %%)", lowest);
  }
  return text;
}

// A legend that says nothing that one above has not said is left out.
void drop_repeated_legends(std::vector<ChartPanel>* panels) {
  std::set<std::string> said;
  for (ChartPanel& panel : *panels) {
    bool news = false;
    for (const LegendEntry& entry : panel.legend) news |= said.insert(entry.text).second;
    if (!news) panel.legend.clear();
  }
}

Chart make_chart(const std::vector<RunLog>& runs, const RunFigureOptions& options,
                 std::vector<std::string>* notes) {
  Chart chart;
  chart.title = options.title;
  chart.x_range = options.x_range;
  chart.width = options.width;
  chart.height = options.height;
  for (const Quantity what : options.what) {
    chart.panels.push_back(make_panel(runs, options, what, notes));
  }
  drop_repeated_legends(&chart.panels);
  return chart;
}

}  // namespace

Figure draw_runs(const std::vector<RunLog>& runs, const RunFigureOptions& options,
                 std::vector<std::string>* notes) {
  return draw(make_chart(runs, options, notes), notes);
}

void draw_overview(const std::string& log, const std::string& output) {
  constexpr double kDpi = 216;
  RunLog run = read_run_log(log);
  RunFigureOptions options;
  options.what = {Quantity::loss};
  if (has_value(run.train_error) || has_value(run.test_error)) {
    options.what.push_back(Quantity::error);
  }
  options.title = run.net.empty() ? "training" : run.net;
  if (!run.device.empty()) options.title += " on " + run.device;
  options.labels = {""};
  options.width = 432;
  options.height = 324;
  std::vector<std::string> notes = run.notes;
  Chart chart = make_chart({run}, options, &notes);
  chart.subtitle = summary(run);
  chart.marks = rate_marks(run.rate);
  chart.panels[0].scale = Scale::automatic;
  const Figure figure = draw(chart, &notes);
  for (const std::string& note : notes) LOG(WARNING) << note;
  write_figure(figure, output, kDpi);
}

}  // namespace resnet::cli
