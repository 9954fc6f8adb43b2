#include "test_report.h"

#include <algorithm>

#include "report_page.h"

namespace resnet::cli {
namespace {

Json interval_json(double share, int64_t n) {
  const Interval interval = wilson_interval(share, n);
  return Json::array().push(100 * interval.low).push(100 * interval.high);
}

Json models_json(const std::vector<TestedModel>& models) {
  Json out = Json::array();
  for (const TestedModel& model : models) {
    out.push(Json().set("model", model.net).set("weights", model.weights));
  }
  return out;
}

Json calibration_json(const Calibration& calibration) {
  Json bins = Json::array();
  for (const CalibrationBin& bin : calibration.bins) {
    Json item = Json().set("low", bin.low).set("high", bin.high).set("images", bin.images);
    bins.push(item.set("confidence", bin.confidence).set("accuracy", bin.accuracy));
  }
  return bins;
}

Json classes_json(const TestReport& report) {
  Json out = Json::array();
  int64_t label = 0;
  for (const ClassCount& count : report.log.class_counts()) {
    Json item = Json().set("label", label).set("name", report.names.of(label));
    item.set("images", count.images).set("wrong", count.wrong).set("error", 100 * count.error());
    out.push(item.set("error_interval", interval_json(count.error(), count.images)));
    ++label;
  }
  return out;
}

std::string report_json(const TestReport& report) {
  const Calibration calibration = report.log.calibration();
  Json out = Json().set("report", "resnet test").set("version", 1);  // begins with kReportMark
  set_errors(report.result, &out);
  out.set("nets", models_json(report.models)).set("source", report.source.name());
  out.set("classes", report.log.classes());
  out.set("negative_log_likelihood", report.log.negative_log_likelihood());
  out.set("expected_calibration_error", calibration.expected_error);
  out.set("calibration_bins", calibration_json(calibration));
  Json outputs;
  for (const Metric& metric : report.result.outputs) outputs.set(metric.name, metric.value);
  out.set("outputs", outputs).set("class_errors", classes_json(report));
  return out.str() + "\n";
}

std::string predictions_jsonl(const TestReport& report) {
  std::string out;
  for (const Prediction& prediction : report.log.predictions()) {
    Json top = Json::array();
    for (const Guess& guess : prediction.top) {
      Json item = Json().set("label", guess.label).set("name", report.names.of(guess.label));
      top.push(item.set("probability", guess.probability));
    }
    Json line = Json().set("key", prediction.key).set("label", prediction.label);
    line.set("name", report.names.of(prediction.label)).set("rank", prediction.rank);
    out += line.set("top", top).str() + "\n";
  }
  return out;
}

// A cell of a CSV file (RFC 4180).
std::string csv(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + '"';
}

std::string number(double value) { return Json(value).str(); }

std::string class_cells(const ClassNames& names, int64_t label) {
  return std::to_string(label) + "," + csv(names.of(label));
}

std::string per_class_csv(const TestReport& report) {
  std::string out = "label,name,images,wrong,error_percent,low_percent,high_percent\n";
  int64_t label = 0;
  for (const ClassCount& count : report.log.class_counts()) {
    const Interval interval = wilson_interval(count.error(), count.images);
    out += class_cells(report.names, label++) + "," + std::to_string(count.images) + "," +
           std::to_string(count.wrong) + "," + number(100 * count.error()) + "," +
           number(100 * interval.low) + "," + number(100 * interval.high) + "\n";
  }
  return out;
}

std::string matrix_csv(const TestReport& report) {
  const int64_t classes = report.log.classes();
  std::string out = "label,name";
  for (int64_t guess = 0; guess < classes; ++guess) out += "," + std::to_string(guess);
  out += "\n";
  const std::vector<int64_t> counts = confusion_matrix(report.log);
  for (int64_t label = 0; label < classes; ++label) {
    out += class_cells(report.names, label);
    for (int64_t guess = 0; guess < classes; ++guess) {
      out += "," + std::to_string(counts[static_cast<size_t>(label * classes + guess)]);
    }
    out += "\n";
  }
  return out;
}

std::string pairs_csv(const TestReport& report) {
  std::string out = "label,name,guess,guess_name,images\n";
  for (const Confusion& pair : report.log.confusions()) {
    out += class_cells(report.names, pair.label) + "," + class_cells(report.names, pair.guess) +
           "," + std::to_string(pair.images) + "\n";
  }
  return out;
}

}  // namespace

std::vector<int64_t> confusion_matrix(const PredictionLog& log) {
  const auto classes = static_cast<size_t>(log.classes());
  std::vector<int64_t> counts(classes * classes);
  for (const Prediction& p : log.predictions()) {
    ++counts[static_cast<size_t>(p.label) * classes + static_cast<size_t>(p.guess().label)];
  }
  return counts;
}

void write_report(ReportFolder& folder, const TestReport& report) {
  folder.write("report.json", report_json(report));
  folder.write("predictions.jsonl", predictions_jsonl(report));
  folder.write("per_class.csv", per_class_csv(report));
  const bool dense = report.log.classes() <= kMatrixClasses;
  folder.write("confusion.csv", dense ? matrix_csv(report) : pairs_csv(report));
  folder.write("report.html", report_page(report));
  folder.finish();
}

}  // namespace resnet::cli
