#include "report_page.h"

#include <algorithm>

#include "report_charts.h"
#include "thumbnail.h"

namespace resnet::cli {
namespace {

// At most 12 * 3 + 24 images are shown.
constexpr size_t kPairs = 12, kExamples = 3, kMistakes = 24;

constexpr char kStyle[] = R"(
:root { --paper: #fcfcfb; --ink: #1c1c1a; --soft: #6a6962; --line: #dddcd5; --board: #f1f0ec;
        --right: #2f6fb3; --wrong: #c2503a; color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #191918; --ink: #ecebe6; --soft: #a2a198; --line: #3a3a37; --board: #242422;
          --right: #5b9ce0; --wrong: #e0775f; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #bbb; --board: #f4f4f4;
                       --right: #2f6fb3; --wrong: #c2503a; } }
* { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; background: var(--paper);
       color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .3rem; }
p { margin: .3rem 0 .8rem; color: var(--soft); max-width: 46rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin-top: 1.4rem; }
.tile { flex: 1 1 11rem; border: 1px solid var(--line); border-radius: 6px; padding: .7rem 1rem; }
.tile b { display: block; font-size: 1.6rem; font-weight: 600; } .tile span { color: var(--soft); }
svg { display: block; max-width: 100%; height: auto; } svg text { fill: var(--ink); font-size: 12px; }
svg .note { fill: var(--soft); font-style: italic; }
.bar, .right { fill: var(--right); } .wrong { fill: var(--wrong); } .board { fill: var(--board); }
.count { fill: var(--soft); opacity: .6; } .grid { stroke: var(--line); }
.axis { stroke: var(--soft); } .mark { stroke: var(--ink); stroke-width: 2; }
.ideal { stroke: var(--soft); stroke-dasharray: 5 4; }
table { border-collapse: collapse; } td, th { padding: .3rem .9rem .3rem 0; text-align: left; }
tr { border-bottom: 1px solid var(--line); break-inside: avoid; } th { color: var(--soft); }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td img { width: 56px; height: 56px; margin-right: 4px; }
img { object-fit: contain; background: var(--board); } img.small { image-rendering: pixelated; }
.wall { display: grid; grid-template-columns: repeat(auto-fill, minmax(136px, 1fr)); gap: 1rem; }
figure { margin: 0; break-inside: avoid; } figure img { width: 128px; height: 128px; }
figcaption { font-size: 12px; line-height: 1.35; overflow-wrap: anywhere; }
figcaption i { color: var(--soft); font-style: normal; } .guess { color: var(--wrong); fill: none; }
section { break-inside: avoid-page; } footer { margin-top: 3rem; color: var(--soft); }
)";

std::string percent(double share) { return fixed(100 * share, 2) + " %"; }

std::string between(double share, int64_t images) {
  const Interval interval = wilson_interval(share, images);
  return fixed(100 * interval.low, 2) + " to " + percent(interval.high);
}

std::string term(const char* name, const std::string& value) {
  return std::string("<dt>") + name + "</dt><dd>" + escape(value) + "</dd>\n";
}

std::string tile(const char* name, const std::string& value, const std::string& note) {
  return std::string("<div class='tile'><span>") + name + "</span><b>" + value + "</b><span>" +
         note + "</span></div>\n";
}

std::string section(const std::string& title, const std::string& explanation,
                    const std::string& content) {
  return "<section><h2>" + title + "</h2>\n<p>" + explanation + "</p>\n" + content + "</section>\n";
}

std::string heading(const TestReport& report) {
  std::string out = "<h1>Test report</h1>\n<dl>\n";
  for (const TestedModel& model : report.models) {
    out += term("net", model.net) + term("weights", model.weights);
  }
  out += term("images", std::to_string(report.log.images()) + " of " + report.source.name());
  return out + term("protocol", report.result.protocol) + "</dl>\n";
}

std::string headline(const TestReport& report) {
  const PredictionLog& log = report.log;
  const auto error = [&](int top_k) {
    const double share = report.result.scores.error(top_k);
    return tile(top_k == 1 ? "top-1 error" : "top-5 error", percent(share),
                "95 %: " + between(share, log.images()));
  };
  std::string out = "<div class='tiles'>\n" + error(1);
  if (log.classes() > 5) out += error(5);
  out += tile("log-loss", fixed(log.negative_log_likelihood(), 3), "negative log-likelihood, nats");
  return out +
         tile("calibration error", percent(log.calibration().expected_error), "ECE, 15 bins") +
         "</div>\n";
}

std::string image(const TestReport& report, size_t index) {
  const Prediction& prediction = report.log.predictions()[index];
  const std::string uri =
      thumbnail_uri(report.source.read(static_cast<int64_t>(index)), report.source.name());
  if (uri.empty()) return "";
  const bool small = uri.starts_with("data:image/png");
  return std::string("<img") + (small ? " class='small'" : "") + " src='" + uri + "' alt='" +
         escape(prediction.key) + "' title='" + escape(prediction.key) + "'>";
}

// Images of one class taken for another, the most confident first.
std::vector<size_t> examples(const TestReport& report, const std::vector<size_t>& mistakes,
                             const Confusion& pair) {
  std::vector<size_t> found;
  for (const size_t index : mistakes) {
    const Prediction& prediction = report.log.predictions()[index];
    if (prediction.label != pair.label || prediction.guess().label != pair.guess) continue;
    found.push_back(index);
    if (found.size() == kExamples) break;
  }
  return found;
}

std::string worst_confusions(const TestReport& report) {
  const std::vector<ClassCount> counts = report.log.class_counts();
  const std::vector<size_t> mistakes =
      report.log.confident_mistakes(static_cast<size_t>(report.log.images()));
  std::vector<Confusion> pairs = report.log.confusions();
  pairs.resize(std::min(pairs.size(), kPairs));
  std::string out =
      "<table><tr><th>class</th><th>taken for</th><th>images</th><th>of its class</th>"
      "<th>the most confident</th></tr>\n";
  for (const Confusion& pair : pairs) {
    const auto all = static_cast<double>(counts[static_cast<size_t>(pair.label)].images);
    out += "<tr><td>" + escape(report.names.of(pair.label)) + "</td><td>" +
           escape(report.names.of(pair.guess)) + "</td><td class='number'>" +
           std::to_string(pair.images) + "</td><td class='number'>" +
           fixed(100 * static_cast<double>(pair.images) / all, 1) + " %</td><td>";
    for (const size_t index : examples(report, mistakes, pair)) out += image(report, index);
    out += "</td></tr>\n";
  }
  return out + "</table>\n";
}

std::string confident_mistakes(const TestReport& report) {
  std::string out = "<div class='wall'>\n";
  for (const size_t index : report.log.confident_mistakes(kMistakes)) {
    const Prediction& prediction = report.log.predictions()[index];
    out += "<figure>" + image(report, index) + "<figcaption>" +
           escape(report.names.of(prediction.label)) + "<br><span class='guess'>" +
           escape(report.names.of(prediction.guess().label)) + " " +
           fixed(100 * prediction.guess().probability, 1) + " %</span><br><i>" +
           escape(prediction.key) + "</i></figcaption></figure>\n";
  }
  return out + "</div>\n";
}

}  // namespace

std::string report_page(const TestReport& report) {
  std::string out =
      "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
      "<meta name='viewport' content='width=device-width'><title>Test report</title><style>" +
      std::string(kStyle) + "</style></head><body>\n" + heading(report) + headline(report);
  out += section("Calibration",
                 "How often the net is right when it is so confident: bars under the dashed line "
                 "mean that it is too sure. The stroke on a bar stands at the mean confidence of "
                 "its images; below is their number.",
                 reliability_diagram(report.log.calibration()));
  out += section("Error by class", "Top-1 error of each class's images, with the interval of 95 %.",
                 class_error_chart(report));
  if (report.log.classes() <= kMatrixClasses) {
    out += section("Confusion matrix",
                   "Rows are classes, columns what their images were taken for. Depth of colour is "
                   "the share of the row; rare mistakes are drawn deeper than their share.",
                   confusion_chart(report));
  }
  if (report.log.error(1) > 0) {
    out += section("Worst confusions", "The pairs of classes that are mistaken most often.",
                   worst_confusions(report));
    out += section("Most confident mistakes",
                   "Wrong images with the highest probability: the class, what the net saw, and "
                   "the key of the record.",
                   confident_mistakes(report));
  }
  return out + "</body></html>\n";
}

}  // namespace resnet::cli
