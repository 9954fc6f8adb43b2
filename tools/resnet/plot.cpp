// `resnet plot`: draws what runs have logged.
#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <set>
#include <string_view>

#include "cli.h"
#include "flags.h"
#include "resnet/io/files.h"
#include "run_figure.h"

DEFINE_string(what, "",
              "error|loss|lr: the quantity, or several with commas, a panel each; by default the "
              "error, or the loss where no error was logged");
DEFINE_bool(log, false, "logarithmic y axis");
DEFINE_string(xlim, "", "LOW,HIGH: iterations to show; by default all");
DEFINE_string(ylim, "", "LOW,HIGH: values to show; by default all");
DEFINE_int32(smooth, 1, "N: show training values as means over N logged ones");
DEFINE_string(title, "", "TEXT: a title above");
DEFINE_double(width, 252, "POINTS: width; the type has 9 points");
DEFINE_double(height, 0, "POINTS: height; 0: 0.75 of the width for a panel");
DEFINE_double(dpi, 300, "N: pixels an inch of a PNG");

namespace resnet::cli {
namespace {

// "LOW,HIGH"; nothing for "".
std::optional<Range> range_of(const std::string& flag, const std::string& text) {
  if (text.empty()) return std::nullopt;
  constexpr double kLeastShare = 1e-9;  // of its ends: a range that can be divided
  const std::vector<std::string> parts = split_list(text);
  Range range;
  const auto number = [](const std::string& part, double* value) {
    const auto result = std::from_chars(part.data(), part.data() + part.size(), *value);
    return result.ec == std::errc() && result.ptr == part.data() + part.size() &&
           std::isfinite(*value);
  };
  if (parts.size() != 2 || !number(parts[0], &range.low) || !number(parts[1], &range.high) ||
      range.high - range.low <= kLeastShare * std::max(std::abs(range.low), std::abs(range.high))) {
    throw ConfigError(flag + ": '" + text + "' is no range; give two numbers LOW,HIGH that ascend");
  }
  return range;
}

std::vector<Quantity> quantities(const std::vector<RunLog>& runs) {
  std::vector<Quantity> what;
  for (const std::string& name : split_list(FLAGS_what)) {
    if (name == "error") {
      what.push_back(Quantity::error);
    } else if (name == "loss") {
      what.push_back(Quantity::loss);
    } else if (name == "lr") {
      what.push_back(Quantity::rate);
    } else {
      throw ConfigError("--what: '" + name + "' is not known; give error, loss or lr");
    }
  }
  if (!what.empty()) return what;
  for (const RunLog& run : runs) {
    if (has_value(run.train_error) || has_value(run.test_error)) return {Quantity::error};
  }
  return {Quantity::loss};
}

// The file's name without its ends; with the folders above it as long as two would have one name.
std::vector<std::string> names_of(const Operands& logs) {
  namespace fs = std::filesystem;
  for (int folders = 0;; ++folders) {
    std::vector<std::string> names;
    bool longer = false;  // another folder makes a name longer
    for (const std::string& log : logs) {
      fs::path path = fs::path(log).lexically_normal();
      std::string name = path.filename().string();
      for (const char* end : {".jsonl", ".log", ".txt"}) {
        if (name.size() > std::string_view(end).size() && name.ends_with(end)) {
          name.resize(name.size() - std::string_view(end).size());
        }
      }
      for (int i = 0; i < folders && path.has_parent_path(); ++i) {
        path = path.parent_path();
        if (!path.has_filename()) break;
        name.insert(0, path.filename().string() + "/");
        longer |= i + 1 == folders;
      }
      names.push_back(name);
    }
    const bool distinct = std::set(names.begin(), names.end()).size() == names.size();
    if (distinct || (folders > 0 && !longer)) return names;
  }
}

std::vector<std::string> labels_of(const Operands& logs) {
  if (FLAGS_labels.empty()) return names_of(logs);
  std::vector<std::string> labels = split_list(FLAGS_labels);
  if (labels.size() != logs.size()) {
    throw ConfigError("--labels: has " + std::to_string(labels.size()) + " names for " +
                      std::to_string(logs.size()) +
                      " logs; give one for each, with commas between");
  }
  return labels;
}

RunFigureOptions read_flags(const Operands& logs) {
  if (logs.empty()) throw ConfigError("no log is given; name the .log.jsonl of training runs");
  check_figure_name("--output", FLAGS_output);
  RunFigureOptions options;
  options.labels = labels_of(logs);
  options.title = FLAGS_title;
  options.logarithmic = FLAGS_log;
  options.x_range = range_of("--xlim", FLAGS_xlim);
  options.y_range = range_of("--ylim", FLAGS_ylim);
  if (FLAGS_log && options.y_range && options.y_range->low <= 0) {
    throw ConfigError("--ylim: a logarithmic axis begins above 0; give such a LOW");
  }
  if (FLAGS_smooth < 1) throw ConfigError("--smooth takes a number from 1");
  options.smooth = FLAGS_smooth;
  constexpr double kLeast = 120, kMost = 4000;
  const auto check = [&](const char* flag, double value) {
    if (value >= kLeast && value <= kMost) return;
    throw ConfigError(std::string(flag) + " takes a number from 120 to 4000");
  };
  check("--width", FLAGS_width);
  if (FLAGS_height != 0) check("--height", FLAGS_height);
  if (!(FLAGS_dpi >= 36 && FLAGS_dpi <= 1200)) {
    throw ConfigError("--dpi takes a number from 36 to 1200");
  }
  options.width = FLAGS_width;
  return options;
}

ExitCode run(const Operands& logs) {
  // Parse.
  RunFigureOptions options = read_flags(logs);

  // Read.
  std::vector<RunLog> runs;
  std::vector<std::string> notes;
  for (const std::string& log : logs) {
    runs.push_back(read_run_log(log));
    notes.insert(notes.end(), runs.back().notes.begin(), runs.back().notes.end());
  }
  options.what = quantities(runs);
  const auto panels = static_cast<double>(options.what.size());
  options.height = FLAGS_height > 0 ? FLAGS_height : options.width * (0.15 + 0.6 * panels);

  // Draw.
  const Figure figure = draw_runs(runs, options, &notes);
  for (const std::string& note : notes) LOG(WARNING) << note;
  prepare_directory_of(FLAGS_output);
  write_figure(figure, FLAGS_output, FLAGS_dpi);
  return ExitCode::ok;
}

}  // namespace

extern const Command kPlot = {
    .name = "plot",
    .summary = "Draw the training and test error of runs, their loss or their learning rate",
    .operands = "LOG...",
    .computes = false,
    .flags = {required("output", "FILE.svg|FILE.png: where to write"),
              {"labels", "NAMES: of the runs, joined by commas; by default the files' names"},
              {"what"},
              {"log"},
              {"xlim"},
              {"ylim"},
              {"smooth"},
              {"title"},
              {"width"},
              {"height"},
              {"dpi"}},
    .examples =
        "resnet plot snap/resnet20.log.jsonl --output=curves.svg\n"
        "resnet plot plain20.log.jsonl resnet20.log.jsonl --labels=plain-20,ResNet-20 "
        "--ylim=0,20 --output=curves.svg\n"
        "resnet plot caffe.INFO resnet20.log.jsonl --what=loss --log --output=loss.png",
    .run = run,
};

}  // namespace resnet::cli
