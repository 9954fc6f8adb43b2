// `resnet bn-stats`: BatchNorm statistics as true averages over training batches.
#include <glog/logging.h>

#include <iostream>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "progress.h"
#include "resnet/base/json.h"
#include "setup.h"

namespace resnet::cli {
namespace {

constexpr int64_t kBatches = 100;  // without --iterations

// The net with statistics that are summed up instead of fading.
NetFile summing(NetFile file) {
  for (LayerParameter& layer : *file.net.mutable_layer()) {
    if (layer.type() != "BatchNorm") continue;
    layer.mutable_batch_norm_param()->set_moving_average_fraction(1);
    layer.mutable_batch_norm_param()->clear_use_global_stats();
  }
  return file;
}

// Divides the sums by the number of batches, so that later training moves the averages as it does its own.
int normalise_statistics(Net& net) {
  const std::vector<Parameter>& parameters = net.parameters();
  int layers = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].role != "factor") continue;
    ++layers;
    const auto index = static_cast<int>(i);
    const float factor = net.read_parameter(index).data.at(0);
    for (int blob = index - parameters[i].blob; blob <= index; ++blob) {
      HostArray value = net.read_parameter(blob);
      for (float& x : value.data) x /= factor;
      net.write_parameter(blob, value.data);
    }
  }
  return layers;
}

// The net as its file has it, with the weights of `net`.
NetParameter with_settings_of(const NetParameter& file, NetParameter net) {
  for (int i = 0; i < net.layer_size(); ++i) {
    if (file.layer(i).has_batch_norm_param()) {
      *net.mutable_layer(i)->mutable_batch_norm_param() = file.layer(i).batch_norm_param();
    }
  }
  return net;
}

ExitCode run(const Operands&) {
  if (FLAGS_iterations < 0) throw ConfigError("--iterations takes a number from 1");
  const int64_t batches = FLAGS_iterations > 0 ? FLAGS_iterations : kBatches;
  const NetFile file = read_net_file(TRAIN);
  const std::shared_ptr<Backend> backend = open_backend();
  Feed feed(file.net, file.feed_options(TRAIN));
  const std::unique_ptr<Net> net = build_net(summing(file), backend, TRAIN, feed.shapes());
  const WeightSet weights = load_weights_flag(*net);

  net->reset_statistics();
  Session& session = net->session(TRAIN);
  Progress progress("batches");
  for (int64_t i = 0; i < batches; ++i) {
    feed.fill(*net, session);
    net->forward(session);
    progress.show(i + 1, batches);
  }
  const int layers = normalise_statistics(*net);
  if (layers == 0)
    throw ConfigError("the net has no BatchNorm layer whose statistics could be measured");

  const auto preprocessing = weights.preprocessing ? *weights.preprocessing : feed.preprocessing();
  NetParameter model = with_settings_of(file.net, with_weights(*net, preprocessing));
  if (weights.training) {
    *model.mutable_training() = *weights.training;
    model.mutable_training()->clear_test();  // was measured with other statistics
  }
  write_caffemodel(FLAGS_output, model, weights.run_id);
  const int64_t images = batches * feed.batch();
  if (FLAGS_json) {
    std::cout << Json()
                     .set("output", FLAGS_output)
                     .set("layers", layers)
                     .set("batches", batches)
                     .set("images", images)
                     .set("device", backend->description())
                     .str()
              << '\n';
  } else {
    std::cout << FLAGS_output << ": statistics of " << layers << " BatchNorm layers over "
              << batches << " batches (" << images << " images)\n";
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kBnStats = {
    .name = "bn-stats",
    .summary = "Replace BatchNorm's moving averages by true ones over training batches",
    .operands = "",
    .computes = true,
    .flags = {{"model"},
              {"solver", "FILE: the solver that names the net"},
              required("weights"),
              required("output", "FILE: the new weights (caffemodel)"),
              {"iterations", "N: training batches (default 100)"},
              {"batch"},
              {"loader_threads"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet bn-stats --model=train_val.prototxt --weights=net.caffemodel "
        "--output=bn.caffemodel",
    .run = run,
};

}  // namespace resnet::cli
