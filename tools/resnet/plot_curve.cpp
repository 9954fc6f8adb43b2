#include "plot_curve.h"

#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

struct Point {
  double iteration = 0, value = 0;
};
using Curve = std::vector<Point>;

struct Run {
  std::string net, device;
  double batch = 0, epoch = 0;
  Curve loss, rate;
  Curve train_error, test_error;  // percent
};

using Members = google::protobuf::Map<std::string, google::protobuf::Value>;

double number_or(const Members& line, const char* key, double otherwise) {
  const auto it = line.find(key);
  return it != line.end() && it->second.has_number_value() ? it->second.number_value() : otherwise;
}

std::string text_of(const Members& line, const char* key) {
  const auto it = line.find(key);
  return it == line.end() ? "" : it->second.string_value();
}

// The first of a step's outputs that is an accuracy, as an error in percent; NaN without one.
double training_error(const Members& line) {
  const auto it = line.find("outputs");
  if (it != line.end()) {
    for (const auto& [name, value] : it->second.struct_value().fields()) {
      if (name.find("accuracy") != std::string::npos && name.find("top5") == std::string::npos &&
          value.has_number_value()) {
        return 100 * (1 - value.number_value());
      }
    }
  }
  return NAN;
}

void drop_after(Curve& curve, double iteration) {
  std::erase_if(curve, [&](const Point& p) { return p.iteration > iteration; });
}

void add(Curve& curve, double iteration, double value) {
  if (std::isfinite(value)) curve.push_back({iteration, value});
}

void take_line(const Members& line, Run& run) {
  const std::string event = text_of(line, "event");
  const double iteration = number_or(line, "iteration", 0);
  if (event == "start") {
    run.net = text_of(line, "net");
    run.device = text_of(line, "device");
    run.batch = number_or(line, "batch", 0) * number_or(line, "iter_size", 1);
    for (Curve* curve : {&run.loss, &run.rate, &run.train_error, &run.test_error}) {
      drop_after(*curve, iteration);
    }
  } else if (event == "step") {
    add(run.loss, iteration, number_or(line, "loss", NAN));
    add(run.rate, iteration, number_or(line, "lr", NAN));
    add(run.train_error, iteration, training_error(line));
    run.epoch = number_or(line, "epoch", run.epoch);
  } else if (event == "stop") {  // the steps since the last logged one
    if (!run.loss.empty() && iteration > run.loss.back().iteration) {
      add(run.loss, iteration, number_or(line, "loss", NAN));
    }
  } else if (event == "test") {
    add(run.test_error, iteration, number_or(line, "test_error_top1", NAN));
  }
}

Run read_run(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw DataError(path + ": cannot be read; give the .log.jsonl of a training run");
  Run run;
  std::string text;
  while (std::getline(in, text)) {
    google::protobuf::Struct line;
    // The last line of a run that was killed may be cut short.
    if (google::protobuf::util::JsonStringToMessage(text, &line).ok())
      take_line(line.fields(), run);
  }
  if (run.loss.empty()) throw DataError(path + ": holds no training step; nothing to draw");
  return run;
}

// 1, 2 or 5 times a power of ten: about `count` steps over `range`.
double tick_step(double range, int count) {
  const double rough = range / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  for (const double m : {1.0, 2.0, 5.0}) {
    if (rough <= m * power) return m * power;
  }
  return 10 * power;
}

std::string format(const char* pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string grouped(double value) {
  std::string digits = format("%.0f", value);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3)
    digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

const cv::Scalar kInk(40, 40, 40), kGrid(228, 228, 228), kMarker(150, 150, 150);  // B, G, R
const cv::Scalar kBlue(180, 119, 31), kRed(40, 39, 214);
constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;
constexpr int kShift = 4;  // coordinates in sixteenths of a pixel

enum class Align { left, centre, right };

void write_text(cv::Mat& image, const std::string& text, double x, double y, Align align,
                double size = 0.5, const cv::Scalar& colour = kInk, int weight = 1) {
  const cv::Size box = cv::getTextSize(text, kFont, size, weight, nullptr);
  if (align == Align::centre) x -= box.width / 2.0;
  if (align == Align::right) x -= box.width;
  cv::putText(image, text, {static_cast<int>(x), static_cast<int>(y)}, kFont, size, colour, weight,
              cv::LINE_AA);
}

// A rectangle of the picture with its axes: maps values to pixels.
struct Panel {
  cv::Rect area;
  double x_max = 1, y_min = 0, y_max = 1;
  bool logarithmic = false;

  double scaled(double y) const { return logarithmic ? std::log10(y) : y; }
  double px(double x) const { return area.x + area.width * x / x_max; }
  double py(double y) const {
    const double low = scaled(y_min), high = scaled(y_max);
    return area.y + area.height * (1 - (scaled(y) - low) / (high - low));
  }
  cv::Point at(const Point& p) const {
    const double y = std::clamp(p.value, y_min, y_max);
    return {static_cast<int>(std::lround(px(p.iteration) * (1 << kShift))),
            static_cast<int>(std::lround(py(y) * (1 << kShift)))};
  }
};

void horizontal_tick(cv::Mat& image, const Panel& panel, double y, const std::string& label) {
  const int row = static_cast<int>(std::lround(panel.py(y)));
  cv::line(image, {panel.area.x, row}, {panel.area.x + panel.area.width, row}, kGrid, 1);
  if (!label.empty()) write_text(image, label, panel.area.x - 10, row + 5, Align::right);
}

void draw_axes(cv::Mat& image, const Panel& panel, const std::string& title, bool x_labels) {
  if (panel.logarithmic) {
    for (int power = static_cast<int>(std::floor(std::log10(panel.y_min))); power <= 6; ++power) {
      for (int m = 1; m <= 9; ++m) {
        const double y = m * std::pow(10, power);
        if (y < panel.y_min * 0.999 || y > panel.y_max * 1.001) continue;
        horizontal_tick(image, panel, y, m == 1 || m == 2 || m == 5 ? format("%g", y) : "");
      }
    }
  } else {
    const double step = tick_step(panel.y_max - panel.y_min, 6);
    for (double y = panel.y_min; y <= panel.y_max * 1.0001; y += step) {
      horizontal_tick(image, panel, y, format("%g", std::round(y / step) * step));
    }
  }
  const double step = std::max(1.0, tick_step(panel.x_max, 10));
  const int bottom = panel.area.y + panel.area.height;
  for (double x = 0; x <= panel.x_max * 1.0001; x += step) {
    const int column = static_cast<int>(std::lround(panel.px(x)));
    cv::line(image, {column, panel.area.y}, {column, bottom}, kGrid, 1);
    if (x_labels) write_text(image, grouped(x), column, bottom + 22, Align::centre);
  }
  cv::rectangle(image, panel.area, kInk, 1);
  write_text(image, title, panel.area.x, panel.area.y - 12, Align::left, 0.6);
}

void draw_curve_line(cv::Mat& image, const Panel& panel, const Curve& curve,
                     const cv::Scalar& colour, int thickness, bool dots) {
  std::vector<cv::Point> points;
  for (const Point& p : curve) points.push_back(panel.at(p));
  cv::polylines(image, points, false, colour, thickness, cv::LINE_AA, kShift);
  if (!dots) return;
  for (const cv::Point& p : points)
    cv::circle(image, p, 4 << kShift, colour, cv::FILLED, cv::LINE_AA, kShift);
}

// Marks with dashed lines where the learning rate changed, unless it does so all the time (cosine, ..).
void draw_rates(cv::Mat& image, const Panel& panel, const Curve& rate, bool labels) {
  Curve changes;
  for (const Point& p : rate) {
    if (changes.empty() || changes.back().value != p.value) changes.push_back(p);
  }
  if (changes.size() > 8) return;
  double free_from = panel.area.x;
  for (size_t i = 0; i < changes.size(); ++i) {
    const int column = static_cast<int>(panel.px(i == 0 ? 0 : changes[i].iteration));
    for (int y = panel.area.y; i > 0 && y < panel.area.y + panel.area.height; y += 8) {
      cv::line(image, {column, y}, {column, std::min(y + 4, panel.area.y + panel.area.height)},
               kMarker, 1);
    }
    if (!labels || column < free_from) continue;
    const std::string text = "lr " + format("%g", changes[i].value);
    write_text(image, text, column + 5, panel.area.y + 16, Align::left, 0.42, kMarker);
    free_from = column + 5 + cv::getTextSize(text, kFont, 0.42, 1, nullptr).width;
  }
}

// "training", "test" with their colours at the right above a panel.
void draw_legend(cv::Mat& image, const Panel& panel,
                 const std::vector<std::pair<std::string, cv::Scalar>>& entries) {
  double x = panel.area.x + panel.area.width;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const int width = cv::getTextSize(entry->first, kFont, 0.5, 1, nullptr).width;
    write_text(image, entry->first, x, panel.area.y - 12, Align::right);
    x -= width + 8;
    cv::line(image, {static_cast<int>(x) - 26, panel.area.y - 17},
             {static_cast<int>(x), panel.area.y - 17}, entry->second, 3, cv::LINE_AA);
    x -= 50;
  }
}

// headroom: part of the height that stays free above the curves.
Panel make_panel(cv::Rect area, double x_max, std::initializer_list<const Curve*> curves,
                 double headroom) {
  Panel panel{.area = area, .x_max = x_max};
  double high = 0, low = INFINITY;
  for (const Curve* curve : curves) {
    for (const Point& p : *curve) {
      high = std::max(high, p.value);
      low = std::min(low, p.value);
    }
  }
  if (high <= 0) high = 1;
  // A curve that falls by more than a decade shows its tail on a logarithmic axis only.
  panel.logarithmic = low > 0 && high / low > 15;
  if (panel.logarithmic) {
    panel.y_min = low * 0.9;
    panel.y_max = high * std::pow(high / low, headroom);
  } else {
    const double step = tick_step(high, 6);
    panel.y_max = std::ceil(high * (1 + headroom) / step) * step;
  }
  return panel;
}

std::string summary(const Run& run) {
  std::string text = grouped(run.loss.back().iteration) + " iterations";
  if (run.batch > 0) text += " of " + grouped(run.batch) + " images";
  if (run.epoch > 0) text += " (" + format("%.1f", run.epoch) + " epochs)";
  text += ", loss " + format("%.4g", run.loss.back().value);
  if (!run.test_error.empty()) {
    const auto best =
        std::min_element(run.test_error.begin(), run.test_error.end(),
                         [](const Point& a, const Point& b) { return a.value < b.value; });
    text += ", test error " + format("%.2f %%", run.test_error.back().value);
    if (best->value < run.test_error.back().value)
      text += " (lowest " + format("%.2f %%)", best->value);
  }
  return text;
}

}  // namespace

void draw_curve(const std::string& jsonl, const std::string& png) {
  const Run run = read_run(jsonl);
  const bool errors = !run.test_error.empty() || !run.train_error.empty();
  cv::Mat image(900, 1200, CV_8UC3, cv::Scalar(255, 255, 255));

  double x_max = run.loss.back().iteration;
  if (!run.test_error.empty()) x_max = std::max(x_max, run.test_error.back().iteration);
  x_max = std::max(x_max, 1.0);

  constexpr int kLeft = 80, kWidth = 1080, kTop = 120, kBottom = 840;
  const int height = errors ? 320 : kBottom - kTop;
  const Panel loss = make_panel({kLeft, kTop, kWidth, height}, x_max, {&run.loss}, 0.12);
  std::string title = run.net.empty() ? "training" : run.net;
  if (!run.device.empty()) title += " on " + run.device;
  write_text(image, title, kLeft, 38, Align::left, 0.8, kInk, 2);
  write_text(image, summary(run), kLeft, 68, Align::left, 0.55);

  draw_axes(image, loss, "loss", !errors);
  draw_legend(image, loss, {{"training", kBlue}});
  draw_rates(image, loss, run.rate, true);
  draw_curve_line(image, loss, run.loss, kBlue, 2, false);
  if (errors) {
    const Panel error = make_panel({kLeft, kBottom - height, kWidth, height}, x_max,
                                   {&run.train_error, &run.test_error}, 0);
    draw_axes(image, error, "error (%)", true);
    std::vector<std::pair<std::string, cv::Scalar>> legend;
    if (!run.train_error.empty()) legend.emplace_back("training", kBlue);
    if (!run.test_error.empty()) legend.emplace_back("test", kRed);
    draw_legend(image, error, legend);
    draw_rates(image, error, run.rate, false);
    draw_curve_line(image, error, run.train_error, kBlue, 1, false);
    draw_curve_line(image, error, run.test_error, kRed, 2, run.test_error.size() <= 60);
  }
  write_text(image, "iteration", kLeft + kWidth / 2.0, 885, Align::centre, 0.55);

  bool written = false;
  try {
    written = cv::imwrite(png, image);
  } catch (const cv::Exception&) {  // an extension that OpenCV does not know
  }
  if (!written) throw DataError(png + ": cannot be written; give a .png in a folder that exists");
}

}  // namespace resnet::cli
