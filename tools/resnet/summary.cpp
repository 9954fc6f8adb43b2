// `resnet summary`: the layers of a net and its size.
#include <iostream>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "net_summary.h"
#include "report.h"
#include "resnet/base/json.h"

namespace resnet::cli {
namespace {

Json json_of(const NetSummary& summary) {
  Json layers = Json::array();
  for (const LayerSummary& layer : summary.layers) {
    Json shape = Json::array();
    for (const int64_t dim : layer.shape.dims()) shape.push(dim);
    layers.push(Json()
                    .set("name", layer.name)
                    .set("type", layer.type)
                    .set("shape", shape)
                    .set("parameters", layer.parameters)
                    .set("multiply_adds", layer.multiply_adds)
                    .set("bytes", layer.bytes));
  }
  return Json()
      .set("net", summary.name)
      .set("batch", summary.batch)
      .set("parameters", summary.total.parameters)
      .set("multiply_adds", summary.multiply_adds_per_image())
      .set("bytes", summary.total.bytes)
      .set("layers", layers);
}

// What a one-file model says about its training, for people; "" where it says nothing.
std::string training_text(const WeightSet& weights) {
  std::string text;
  if (weights.training && weights.training->has_iteration()) {
    text = "trained for " + std::to_string(weights.training->iteration()) + " iterations";
    const TestResult& test = weights.training->test();
    if (test.has_error()) {
      char error[64];
      std::snprintf(error, sizeof error, ", test error %.2f %% on %lld images", 100 * test.error(),
                    static_cast<long long>(test.images()));
      text += error;
      if (test.iteration() != weights.training->iteration()) {
        text += " at iteration " + std::to_string(test.iteration());
      }
    }
  }
  if (weights.preprocessing && weights.preprocessing->class_name_size() > 0) {
    text += (text.empty() ? "" : "; ") + std::to_string(weights.preprocessing->class_name_size()) +
            " named classes";
  }
  return text;
}

ExitCode run(const Operands&) {
  const Phase phase = parse_phase();
  const NetFile file = read_net_file(phase);
  GraphOptions options = file.graph_options(phase);
  options.input_shapes = data_shapes(file, phase);
  const NetSummary summary = summarize(file.net, options);
  if (FLAGS_json) {
    std::cout << json_of(summary).str() << '\n';
    return ExitCode::ok;
  }
  char text[160];
  std::snprintf(
      text, sizeof text,
      "%.3f million parameters (%s), %.3f million multiply-adds an image, blobs of %s for "
      "a batch of %lld",
      static_cast<double>(summary.total.parameters) / 1e6,
      bytes_text(4 * summary.total.parameters).c_str(),
      static_cast<double>(summary.multiply_adds_per_image()) / 1e6,
      bytes_text(summary.total.bytes).c_str(), static_cast<long long>(summary.batch));
  std::cout << table(summary) << '\n' << summary.name << ": " << text << '\n';
  if (FLAGS_model.empty() && FLAGS_solver.empty()) {
    const std::string training = training_text(read_caffemodel(FLAGS_weights));
    if (!training.empty()) std::cout << training << '\n';
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kSummary = {
    .name = "summary",
    .summary = "Print layers, shapes, parameters, multiply-adds and memory of a net",
    .operands = "",
    .computes = false,
    .flags = {{"model"},
              {"solver", "FILE: the solver that names the net"},
              {"weights", "FILE: weights that hold the net, without --model and --solver"},
              {"phase"},
              {"batch"},
              {"input_shape"},
              {"stage"},
              {"level"},
              {"json"}},
    .examples =
        "resnet summary --model=deploy.prototxt\n"
        "resnet summary --weights=model.caffemodel\n"
        "resnet summary --model=train_val.prototxt --phase=TRAIN --input_shape=3,32,32",
    .run = run,
};

}  // namespace resnet::cli
