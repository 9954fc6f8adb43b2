#include "resnet/io/prototxt.h"

#include <glog/logging.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <mutex>
#include <set>

#include "io/field_lists.h"
#include "io/text_check.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

constexpr size_t kMaxTextBytes = size_t{64} << 20;
constexpr size_t kMaxLines = 50;  // of one error message

using google::protobuf::Message;

struct FirstError : google::protobuf::io::ErrorCollector {
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& text) override {
    if (message.empty()) {
      message = std::to_string(line + 1) + ":" + std::to_string(column + 1) + ": " + text;
    }
  }
  std::string message;
};

[[noreturn]] void throw_problems(const std::vector<std::string>& problems) {
  std::string text;
  for (size_t i = 0; i < std::min(problems.size(), kMaxLines); ++i) {
    text += (i == 0 ? "" : "\n") + problems[i];
  }
  if (problems.size() > kMaxLines) {
    text += "\n(and " + std::to_string(problems.size() - kMaxLines) + " more)";
  }
  throw ConfigError(text);
}

void log_accepted(const std::string& path, const std::vector<text::AcceptedField>& fields) {
  static std::mutex mutex;
  static std::set<std::string> logged;
  const std::lock_guard<std::mutex> lock(mutex);
  for (const text::AcceptedField& f : fields) {
    if (!logged.insert(f.field).second) continue;
    const std::string line = path + ":" + std::to_string(f.line) + ": " + f.field +
                             (f.of_fork ? ", a field of a fork of Caffe," : "") +
                             " is accepted without effect: " + std::string(f.reason);
    if (f.of_fork) {
      LOG(WARNING) << line;
    } else {
      LOG(INFO) << line;
    }
  }
}

void refuse_foreign(std::string_view text, const std::string& path) {
  if (text.size() > kMaxTextBytes) {
    throw ConfigError(path + ": " + std::to_string(text.size()) +
                      " bytes are too many for a prototxt: is this a weight file?");
  }
  if (text.substr(0, 4096).find('\0') != std::string_view::npos) {
    throw ConfigError(path +
                      ": this is a binary file, not a prototxt: weights are given with "
                      "--weights, snapshots with --snapshot");
  }
}

// Adds the Scale layers that stand for NVIDIA's scale_bias behind these layers; they lie on the same lines.
void add_scale_layers(const std::vector<int>& scaled, NetParameter* net, std::vector<int>* lines) {
  const NetParameter given = *net;
  const std::vector<int> given_lines = *lines;
  net->clear_layer();
  lines->clear();
  for (int i = 0; i < given.layer_size(); ++i) {
    const LayerParameter& layer = given.layer(i);
    *net->add_layer() = layer;
    lines->push_back(given_lines[static_cast<size_t>(i)]);
    if (std::find(scaled.begin(), scaled.end(), i) == scaled.end() || layer.top_size() == 0)
      continue;
    LayerParameter* scale = net->add_layer();
    scale->set_name(layer.name() + "/scale");
    scale->set_type("Scale");
    scale->add_bottom(layer.top(0));
    scale->add_top(layer.top(0));
    scale->mutable_scale_param()->set_bias_term(true);
    *scale->mutable_include() = layer.include();
    *scale->mutable_exclude() = layer.exclude();
    lines->push_back(lines->back());
  }
}

// Parses what is good in the text and returns what is not.
std::vector<std::string> parse(std::string_view text, const std::string& path, Message* message,
                               std::vector<int>* layer_lines, std::vector<int>* scaled = nullptr) {
  refuse_foreign(text, path);
  const text::Report report = text::check_text(text, *message->GetDescriptor());
  std::vector<std::string> problems;
  for (const text::Problem& p : report.problems) {
    problems.push_back(path + ":" + std::to_string(p.line) + ":" + std::to_string(p.column) + ": " +
                       p.message);
  }
  if (report.syntax_error) throw_problems(problems);

  std::string good(text);
  for (const auto& [begin, end] : report.bad_ranges) {
    for (size_t i = begin; i < end && i < good.size(); ++i) {
      if (good[i] != '\n') good[i] = ' ';
    }
  }
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(2 * text::kMaxDepth);
  if (!parser.ParseFromString(good, message)) {
    problems.push_back(path + ":" + error.message);
    throw_problems(problems);
  }
  log_accepted(path, report.accepted);
  if (layer_lines) *layer_lines = report.layer_lines;
  if (scaled) *scaled = report.scaled_layers;
  return problems;
}

// Caffe's older files choose the solver by a number.
void upgrade(SolverParameter* solver) {
  if (!solver->has_solver_type()) return;
  if (!solver->has_type()) {
    solver->set_type(solver->solver_type() == SolverParameter::NESTEROV ? "Nesterov" : "SGD");
  }
  solver->clear_solver_type();
}

std::string read_text(const std::string& path) {
  try {
    return read_file(path);
  } catch (const DataError& e) {
    throw ConfigError(e.what());
  }
}

}  // namespace

std::string NetSource::where(int i) const {
  if (i < 0 || static_cast<size_t>(i) >= layer_line.size()) return path;
  return path + ":" + std::to_string(layer_line[static_cast<size_t>(i)]);
}

NetSource parse_net_source(std::string_view text, const std::string& name) {
  NetSource source;
  source.path = name;
  std::vector<int> scaled;
  source.problems = parse(text, name, &source.net, &source.layer_line, &scaled);
  if (source.problems.empty() && !scaled.empty()) {
    add_scale_layers(scaled, &source.net, &source.layer_line);
  }
  return source;
}

NetSource read_net_source(const std::string& path) {
  return parse_net_source(read_text(path), path);
}

NetParameter parse_net_prototxt(std::string_view text, const std::string& name) {
  NetSource source = parse_net_source(text, name);
  if (!source.problems.empty()) throw_problems(source.problems);
  return std::move(source.net);
}

NetParameter read_net_prototxt(const std::string& path) {
  return parse_net_prototxt(read_text(path), path);
}

SolverParameter parse_solver_prototxt(std::string_view text, const std::string& name) {
  SolverParameter solver;
  const std::vector<std::string> problems = parse(text, name, &solver, nullptr);
  if (!problems.empty()) throw_problems(problems);
  upgrade(&solver);
  return solver;
}

SolverParameter read_solver_prototxt(const std::string& path) {
  return parse_solver_prototxt(read_text(path), path);
}

void write_prototxt(const std::string& path, const Message& message, const std::string& comment) {
  std::string text;
  size_t begin = 0;
  while (begin < comment.size()) {
    const size_t end = std::min(comment.find('\n', begin), comment.size());
    text += "# " + comment.substr(begin, end - begin) + "\n";
    begin = end + 1;
  }
  write_file_atomic(path, {text + format_prototxt(message)});
}

}  // namespace resnet
