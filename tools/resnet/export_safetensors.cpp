// Format `safetensors` of `resnet export`: weights under PyTorch's names, or under our own.
#include "cli.h"
#include "export.h"
#include "resnet/base/json.h"
#include "resnet/exchange/safetensors.h"
#include "resnet/exchange/state_dict.h"

namespace resnet::cli {
namespace {

constexpr double kBound = 1e-4;  // of the largest output

std::optional<NameStyle> wanted_style(const ExportJob& job, const GraphOptions& graph) {
  if (FLAGS_names == "caffe") return std::nullopt;
  if (FLAGS_names == "cifar") return cifar_names();
  if (FLAGS_names == "torchvision" || FLAGS_names == "timm") return torchvision_names();
  if (!FLAGS_names.empty()) {
    throw ConfigError("--names takes torchvision, timm, cifar or caffe, not '" + FLAGS_names + "'");
  }
  return residual_net(job.weighted, graph).appends_zeros() ? cifar_names() : torchvision_names();
}

bool wants_folding() {
  if (FLAGS_convention == "torchvision") return true;
  if (FLAGS_convention == "resnet") return false;
  throw ConfigError("--convention takes resnet or torchvision, not '" + FLAGS_convention + "'");
}

std::string input_note(const TensorFile& file, const ExportJob& job) {
  if (file.metadata.contains("resnet.mean")) {
    return "feed R,G,B from 0 to 1, less " + file.metadata.at("resnet.mean") + ", divided by " +
           file.metadata.at("resnet.std");
  }
  if (!job.preprocessing) return "the weights do not say how images are prepared";
  const Preprocessing& p = job.preprocessing.value();
  std::string means;
  for (const float mean : p.mean_value()) means += (means.empty() ? "" : ",") + Json(mean).str();
  return "feed " + std::string(p.channel_order() == Preprocessing::RGB ? "R,G,B" : "B,G,R") +
         " from 0 to 255" +
         (p.has_mean()    ? " less the mean image"
          : means.empty() ? ""
                          : " less " + means) +
         (p.scale() != 1 ? ", times " + Json(p.scale()).str() : "");
}

ExportResult write(const ExportJob& job) {
  ExportOptions options;
  options.graph = job.file.graph_options(TEST);
  options.style = wanted_style(job, options.graph);
  options.fold_input = wants_folding();
  const TensorFile file = export_tensors(job.weighted, options);
  write_safetensors(job.output, file);

  ImportOptions reading;
  reading.graph = options.graph;
  reading.fold_input = false;
  NetParameter read = job.weighted;
  const ImportReport report = import_tensors(read_safetensors(job.output), reading, &read);
  if (!report.complete())
    throw InternalError(job.output + ": read back incomplete: " + report.str());
  std::function<Values(Values)> adapt;
  if (options.fold_input) {
    std::array<double, 3> factors = options.input.std;
    for (double& factor : factors) factor *= job.preprocessing->scale();
    const bool rgb = job.preprocessing->channel_order() == Preprocessing::RGB;
    adapt = [=](Values input) { return as_torchvision(std::move(input), factors, rgb); };
  }
  ExportResult result = compare_read_back(job, weights_of(read), options.style ? kBound : 0, adapt);
  result.notes.push_back(input_note(file, job));
  if (options.style) {
    for (const std::string& line : report.notes) result.notes.push_back(line);
  }
  return result;
}

}  // namespace

extern const ExportFormat kExportSafetensors = {.name = "safetensors",
                                                .suffix = ".safetensors",
                                                .doc = "weights under PyTorch's names",
                                                .write = write};

}  // namespace resnet::cli
