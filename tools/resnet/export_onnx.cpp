// Format `onnx` of `resnet export`: a model for other runtimes.
#include <cstdio>

#include "export.h"
#include "flags.h"
#include "numeric_check.h"
#include "resnet/exchange/onnx.h"

namespace resnet::cli {
namespace {

OnnxOptions options_of(const ExportJob& job) {
  if (job.file.options.plan.math != DType::f32) {
    throw ConfigError(
        "--math: an ONNX model computes in FLOAT32, and so must the check; leave it out");
  }
  OnnxOptions options;
  options.opset = FLAGS_opset;
  options.fold_bn = FLAGS_fold_bn;
  options.batch = FLAGS_batch;
  options.graph = job.file.graph_options(TEST);
  options.graph.input_shapes = job.shapes;
  options.producer_version = RESNET_VERSION;
  if (job.run_id != 0) {
    char id[17];
    std::snprintf(id, sizeof id, "%016llx", static_cast<unsigned long long>(job.run_id));
    options.metadata["weights.run_id"] = id;
  }
  return options;
}

// "inputs data; outputs prob; 21 Conv, 21 BatchNormalization, .."
std::string summary(const OnnxInfo& info) {
  const auto joined = [](const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
    return text;
  };
  std::vector<std::string> counts;
  for (const auto& [type, count] : info.operators) {
    counts.push_back(std::to_string(count) + " " + type);
  }
  return "opset " + std::to_string(info.opset) + "; input " + joined(info.inputs) + "; output " +
         joined(info.outputs) + "; " + joined(counts);
}

ExportResult write(const ExportJob& job) {
  const OnnxOptions options = options_of(job);
  write_onnx(job.output, job.weighted, options);

  // The file against the net, for two images where any number is possible.
  const OnnxInfo info = read_onnx_info(job.output);
  const int64_t batch = options.batch > 0 ? options.batch : 2;
  const Values input = random_input(job.net, batch);
  Values fed;  // without labels
  for (const std::string& name : info.inputs) fed[name] = input.at(name);
  std::vector<std::string> blobs = compared_blobs(job.file);
  std::erase_if(blobs, [&](const std::string& blob) { return !info.values.contains(blob); });
  const Difference difference =
      difference_of(run_net(job.net, input, blobs, batch), evaluate_onnx(job.output, fed, blobs));
  ExportResult result;
  result.check = "read back and evaluated on random input, " + std::to_string(batch) + " images";
  result.largest_difference = difference.largest;
  result.bound = 1e-4 * difference.largest_value;
  result.notes.push_back(summary(info));
  result.notes.push_back(job.preprocessing
                             ? "the metadata preprocessing.* says how images become input"
                             : "the weights do not say how images become input, so the model "
                               "does not either (--mean, --scale, --resize)");
  return result;
}

}  // namespace

extern const ExportFormat kExportOnnx = {
    .name = "onnx", .suffix = ".onnx", .doc = "a model for other runtimes", .write = write};

}  // namespace resnet::cli
