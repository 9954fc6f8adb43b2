// `resnet extract`: values of blobs or layers, one .npy file each.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <optional>

#include "cli.h"
#include "flags.h"
#include "image_files.h"
#include "net_file.h"
#include "net_input.h"
#include "npy.h"
#include "resnet/base/json.h"
#include "resnet/io/files.h"
#include "setup.h"

DEFINE_string(blobs, "", "NAMES: blobs to write, joined by commas, with their values at the end");
DEFINE_string(layers, "", "NAMES: layers whose first top is written, before later in-place layers");
DEFINE_string(input, "", "FILE: an .npy array (N,C,H,W) that is fed as it is");

namespace resnet::cli {
namespace {

// A blob (or "layer:NAME") and the file that takes its values.
struct Output {
  std::string blob, path;
  std::unique_ptr<NpyWriter> writer;
  Shape shape;
};

std::vector<Output> wanted_outputs() {
  if (FLAGS_blobs.empty() && FLAGS_layers.empty()) {
    throw ConfigError("say what to write by --blobs=NAMES or --layers=NAMES");
  }
  std::vector<Output> outputs;
  const auto add = [&](const std::string& name, const std::string& prefix) {
    std::string file_name = name;
    std::replace(file_name.begin(), file_name.end(), '/', '_');
    outputs.push_back({prefix + name, FLAGS_output + "/" + file_name + ".npy", nullptr, {}});
  };
  for (const std::string& name : split_list(FLAGS_blobs)) add(name, "");
  for (const std::string& name : split_list(FLAGS_layers)) add(name, "layer:");
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].path == FLAGS_output + "/labels.npy") {
      throw ConfigError("'labels' cannot be extracted: labels.npy holds the labels of the images");
    }
    for (size_t j = 0; j < i; ++j) {
      if (outputs[i].path != outputs[j].path) continue;
      throw ConfigError("two outputs would be written to " + outputs[i].path +
                        "; extract one by one");
    }
  }
  return outputs;
}

std::unique_ptr<NetInput> open_input(const NetFile& file, const Operands& images) {
  const bool has_images = !images.empty() || !FLAGS_list.empty();
  if (has_images + !FLAGS_input.empty() + !FLAGS_source.empty() > 1) {
    throw ConfigError("images, --input and --source exclude each other; give one");
  }
  if (!FLAGS_input.empty()) return array_input(file, FLAGS_input);
  if (!has_images && FLAGS_source.empty()) return own_input(file);
  const Preprocessing preprocessing =
      preprocessing_for(file, read_caffemodel(FLAGS_weights).preprocessing);
  if (has_images) return image_input(file, image_paths(images), preprocessing);
  return source_input(file, FLAGS_source, preprocessing);
}

// What the rows of all outputs belong to.
struct Rows {
  std::string keys;  // a line each
  std::vector<int64_t> labels;

  void add(const NetInput& input) {
    for (const std::string& key : input.keys()) keys += key + "\n";
    for (const float label : input.labels()) labels.push_back(static_cast<int64_t>(label));
  }
  void write() const {
    if (!keys.empty()) write_file_atomic(FLAGS_output + "/keys.txt", {keys});
    if (!labels.empty()) write_npy(FLAGS_output + "/labels.npy", labels);
  }
};

// Appends a batch's values; the first batch tells the shape.
void append(Output& output, const HostArray& values, int64_t count, int64_t total) {
  if (output.writer == nullptr) {
    if (values.shape.rank() == 0 || values.shape[0] != count) {
      throw ConfigError("'" + output.blob + "' has shape " + values.shape.str() +
                        ", which does not go image by image; extract another blob");
    }
    output.shape = values.shape;
    output.shape[0] = total;
    output.writer = std::make_unique<NpyWriter>(output.path, output.shape);
  }
  output.writer->append(values.data);
}

void report(const std::vector<Output>& outputs, int64_t images, const Backend& backend) {
  Json files = Json::array();
  for (const Output& output : outputs) {
    Json shape = Json::array();
    for (const int64_t dim : output.shape.dims()) shape.push(dim);
    files.push(Json().set("file", output.path).set("shape", shape));
    if (!FLAGS_json) std::cout << output.path << " " << output.shape.str() << '\n';
  }
  if (!FLAGS_json) return;
  std::cout
      << Json().set("images", images).set("files", files).set("device", backend.description()).str()
      << '\n';
}

ExitCode run(const Operands& images) {
  std::vector<Output> outputs = wanted_outputs();
  const NetFile file = read_net_file(TEST);
  const std::shared_ptr<Backend> backend = open_backend();
  const std::unique_ptr<NetInput> input = open_input(file, images);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, input->shapes());
  load_weights_flag(*net);

  std::error_code error;
  std::filesystem::create_directories(FLAGS_output, error);
  if (error) throw DataError(FLAGS_output + ": cannot be created: " + error.message());
  std::vector<std::string> keep;
  keep.reserve(outputs.size());
  for (const Output& output : outputs) keep.push_back(output.blob);
  Rows rows;
  run_batches(*net, *input, keep, [&](Session& session, int64_t, int64_t count) {
    for (Output& output : outputs)
      append(output, net->read(session, output.blob), count, input->size());
    rows.add(*input);
  });
  rows.write();
  for (Output& output : outputs) output.writer->finish();
  report(outputs, input->size(), *backend);
  return ExitCode::ok;
}

}  // namespace

extern const Command kExtract = {
    .name = "extract",
    .summary = "Write the values of blobs or layers for images, one .npy file each",
    .operands = "[IMAGE...]",
    .computes = true,
    .flags = {{"model", "FILE: the net (prototxt); default: the one in the weights"},
              required("weights"),
              required(
                  "output",
                  "DIR: where NAME.npy is written, with keys.txt and labels.npy of the images"),
              {"blobs"},
              {"layers"},
              {"source"},
              {"input"},
              {"list"},
              {"mean"},
              {"scale"},
              {"resize"},
              {"batch"},
              {"loader_threads"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet extract --model=deploy.prototxt --weights=net.caffemodel --blobs=pool,prob "
        "--output=out cat.jpg\n"
        "resnet extract --model=deploy.prototxt --weights=net.caffemodel --layers=conv1 "
        "--input=x.npy --output=out",
    .run = run,
};

}  // namespace resnet::cli
