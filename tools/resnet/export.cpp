// `resnet export`: a net with its weights in the format of another program.
#include "export.h"

#include <glog/logging.h>

#include <filesystem>
#include <iostream>

#include "class_names.h"
#include "cli.h"
#include "flags.h"
#include "net_input.h"
#include "resnet/base/json.h"
#include "resnet/base/nearest.h"
#include "resnet/io/files.h"
#include "setup.h"

DECLARE_string(format);
DEFINE_string(names, "",
              "torchvision|timm|cifar|caffe: safetensors: names of the tensors; caffe: LAYER/ROLE, "
              "every blob "
              "as it is (default: cifar for nets with shortcuts of option A, else torchvision)");
DEFINE_string(
    convention, "resnet",
    "resnet|torchvision: safetensors: what the net is fed: B,G,R from 0 to 255 less the mean, as "
    "here, or R,G,B from 0 to 1, normalised");
DEFINE_bool(fold_bn, false,
            "onnx: fold each BatchNorm, with its Scale, into the convolution before it");
DEFINE_int32(opset, 17, "N: onnx: the operator set, from 17 to 28");

namespace resnet::cli {

extern const ExportFormat kExportCaffe, kExportCaffemodel, kExportModel, kExportOnnx,
    kExportSafetensors;

namespace {

const std::vector<const ExportFormat*>& formats() {
  static const std::vector<const ExportFormat*> all = {&kExportCaffemodel, &kExportSafetensors,
                                                       &kExportOnnx, &kExportCaffe, &kExportModel};
  return all;
}

std::string list_of_formats() {
  std::string text;
  for (const ExportFormat* format : formats()) {
    text += (text.empty() ? "" : ", ") + std::string(format->name) + " (" + format->doc + ")";
  }
  return text;
}

// --format, or what the output's suffix says.
const ExportFormat& chosen_format() {
  std::vector<std::string> names;
  for (const ExportFormat* format : formats()) {
    if (FLAGS_format == format->name) return *format;
    names.emplace_back(format->name);
  }
  if (!FLAGS_format.empty()) {
    throw ConfigError("--format=" + FLAGS_format + " is not a format of export" +
                      suggestion(FLAGS_format, names, "; there are " + list_of_formats()));
  }
  for (const ExportFormat* format : formats()) {
    if (format->suffix[0] != '\0' && FLAGS_output.ends_with(format->suffix)) return *format;
  }
  throw ConfigError("--output=" + FLAGS_output +
                    ": the suffix names no format; give --format: " + list_of_formats());
}

// How images are prepared: as stored with the weights, changed by the flags; nothing if nobody says.
std::optional<Preprocessing> preprocessing_of(const NetFile& file,
                                              const std::optional<Preprocessing>& stored) {
  std::optional<Preprocessing> result = stored;
  if (given("mean") || given("scale") || given("resize") || data_layer(file, TEST) != nullptr) {
    result = preprocessing_for(file, stored);
  }
  const ClassNames names({});  // those of --labels
  if (names.size() == 0) return result;
  if (!result) result.emplace();
  result->clear_class_name();
  for (int64_t label = 0; label < names.size(); ++label) result->add_class_name(names.of(label));
  return result;
}

// A file that computes something else must not be taken for a good one.
void require_agreement(const ExportResult& result) {
  if (result.largest_difference <= result.bound) return;
  std::error_code ignored;
  std::filesystem::remove(FLAGS_output, ignored);
  throw InternalError(FLAGS_output +
                      ": removed, since what was written computes other values: " + result.check +
                      ", largest difference " + Json(result.largest_difference).str() +
                      ", allowed " + Json(result.bound).str());
}

void report(const ExportFormat& format, const ExportResult& result) {
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(FLAGS_output));
  if (FLAGS_json) {
    Json notes = Json::array();
    for (const std::string& note : result.notes) notes.push(note);
    std::cout << Json()
                     .set("output", FLAGS_output)
                     .set("format", format.name)
                     .set("bytes", bytes)
                     .set("check", result.check)
                     .set("largest_difference", result.largest_difference)
                     .set("bound", result.bound)
                     .set("notes", notes)
                     .str()
              << '\n';
    return;
  }
  std::cout << FLAGS_output << ": " << format.name << ", " << bytes << " bytes\n";
  for (const std::string& note : result.notes) std::cout << "note: " << note << '\n';
  std::cout << "check: " << result.check << ": largest difference "
            << Json(result.largest_difference).str() << " (allowed " << Json(result.bound).str()
            << ")\n";
}

ExitCode run(const Operands&) {
  const ExportFormat& format = chosen_format();
  require_full_precision();
  prepare_directory_of(FLAGS_output);
  const NetFile file = read_net_file(TEST);
  const std::shared_ptr<Backend> backend = open_backend();
  const Shapes shapes = data_shapes(file, TEST);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, shapes);
  const WeightSet weights = load_weights_flag(*net);
  const auto preprocessing = preprocessing_of(file, weights.preprocessing);

  const ExportJob job{.file = file,
                      .net = *net,
                      .backend = backend,
                      .shapes = shapes,
                      .weighted = with_weights(*net, preprocessing),
                      .preprocessing = preprocessing,
                      .run_id = weights.run_id,
                      .output = FLAGS_output};
  const ExportResult result = format.write(job);
  require_agreement(result);
  report(format, result);
  return ExitCode::ok;
}

}  // namespace

ExportResult compare_read_back(const ExportJob& job, const WeightSet& weights, double relative,
                               const std::function<Values(Values)>& adapt) {
  const std::vector<std::string> blobs = compared_blobs(job.file);
  const Values input = random_input(job.net);
  const std::unique_ptr<Net> other = build_net(job.file, job.backend, TEST, job.shapes);
  other->initialize(1);
  load_weights(*other, weights);
  const Difference difference = difference_of(run_net(job.net, input, blobs),
                                              run_net(*other, adapt ? adapt(input) : input, blobs));
  ExportResult result;
  result.check = "read back and run on random input";
  result.largest_difference = difference.largest;
  result.bound = relative * difference.largest_value;
  return result;
}

extern const Command kExport = {
    .name = "export",
    .summary = "Write a net and its weights for other programs, and check what was written",
    .operands = "",
    .computes = true,
    .flags = {{"model", "FILE: the net (prototxt); default: the one in the weights"},
              required("weights"),
              required("output", "FILE: what to write; its suffix says the format"),
              {"format", "caffemodel|safetensors|onnx|caffe|model: if the suffix does not say it"},
              {"solver", "FILE: the solver that names the net; caffe: written, too"},
              {"snapshot", "FILE: caffe: also write this snapshot and the net for training"},
              {"names"},
              {"convention"},
              {"fold_bn"},
              {"opset"},
              {"batch", "N: onnx: a model for N images at a time (default: for any number)"},
              {"labels"},
              {"mean"},
              {"scale"},
              {"resize"},
              {"input_shape"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet export --model=deploy.prototxt --weights=net.caffemodel "
        "--output=net.safetensors --convention=torchvision\n"
        "resnet export --model=deploy.prototxt --weights=net.caffemodel --output=net.onnx "
        "--fold_bn --labels=classes.txt",
    .run = run,
};

}  // namespace resnet::cli
