#include "net_file.h"

#include <glog/logging.h>

#include <charconv>
#include <utility>

#include "cli.h"
#include "flags.h"
#include "problems.h"
#include "resnet/base/error.h"
#include "resnet/eval/classification.h"
#include "resnet/exchange/model_file.h"
#include "resnet/io/files.h"
#include "resnet/io/prototxt.h"
#include "resnet/solver/solver_files.h"
#include "setup.h"

namespace resnet::cli {
namespace {

// A net with what is wrong with its text, and the place of each layer in it.
struct NetText {
  NetFile file;
  std::vector<std::string> problems, places;
};

NetText read_model(const std::string& path) {
  NetSource source = read_net_source(path);
  NetText text;
  text.problems = source.problems;
  for (int i = 0; i < source.net.layer_size(); ++i) text.places.push_back(source.where(i));
  text.file.net = std::move(source.net);
  text.file.base_dir = directory_of(path);
  text.file.options.locate = [source = std::move(source)](int layer) {
    return source.where(layer);
  };
  return text;
}

NetText read_net_of_solver(const std::string& path) {
  SolverFiles solver = read_solver(path);
  NetText text;
  text.problems = solver.problems;
  text.places = solver.where;
  text.file.net = std::move(solver.net);
  text.file.base_dir = solver.base_dir;
  text.file.device = device_of(solver.param);
  text.file.options.locate = [solver = std::move(solver)](int layer) {
    return solver.locate(layer);
  };
  return text;
}

Shape parse_image_shape(const std::string& text) {
  std::vector<int64_t> dims;
  for (const std::string& item : split_list(text)) {
    int64_t dim = 0;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), dim);
    if (error != std::errc() || end != item.data() + item.size() || dim < 1) dims.clear();
    if (dim > 0) dims.push_back(dim);
  }
  if (dims.size() != 3) throw ConfigError("--input_shape takes C,H,W, not '" + text + "'");
  return Shape(dims);
}

}  // namespace

GraphOptions NetFile::graph_options(Phase phase) const {
  GraphOptions graph;
  graph.phase = phase;
  graph.level = options.level;
  graph.stages = options.stages;
  graph.locate = options.locate;
  return graph;
}

FeedOptions NetFile::feed_options(Phase phase) const {
  FeedOptions feed;
  feed.phase = phase;
  feed.loader_threads = FLAGS_loader_threads;
  feed.batch = FLAGS_batch;
  feed.base_dir = base_dir;
  feed.level = options.level;
  feed.stages = options.stages;
  return feed;
}

Phase parse_phase() {
  Phase phase = TEST;
  if (!Phase_Parse(FLAGS_phase, &phase)) {
    throw ConfigError("--phase takes TRAIN or TEST, not '" + FLAGS_phase + "'");
  }
  return phase;
}

namespace {

// Adds what the flags say, and checks the net of this phase if its text is wrong.
NetFile finish(NetText text, Phase phase) {
  text.file.options.plan = plan_options();
  text.file.options.level = FLAGS_level;
  text.file.options.stages = split_list(FLAGS_stage);
  if (FLAGS_batch < 0) throw ConfigError("--batch takes a number from 1");
  if (!text.problems.empty()) {
    throw_problems(text.problems, text.places, [&] {
      GraphOptions options = text.file.graph_options(phase);
      options.input_shapes = data_shapes(text.file, phase);
      build_graph(text.file.net, options);
    });
  }
  return std::move(text.file);
}

}  // namespace

NetFile read_net_file(Phase phase) {
  if (FLAGS_model.empty() && FLAGS_solver.empty() && !FLAGS_weights.empty() && phase == TEST) {
    return read_net_in_weights(FLAGS_weights);
  }
  if (FLAGS_model.empty() == FLAGS_solver.empty()) {
    throw ConfigError("give the net by either --model=FILE or --solver=FILE");
  }
  return finish(FLAGS_solver.empty() ? read_model(FLAGS_model) : read_net_of_solver(FLAGS_solver),
                phase);
}

NetFile read_net_file(Phase phase, const std::string& path) {
  return finish(read_model(path), phase);
}

NetFile read_net_in_weights(const std::string& path) {
  NetText text;
  text.file.net = read_model_file(path).net;
  text.file.base_dir = directory_of(path);
  text.file.options.locate = [path](int) { return path; };
  return finish(std::move(text), TEST);
}

const LayerParameter* data_layer(const NetFile& file, Phase phase) {
  return resnet::data_layer(file.net, file.graph_options(phase));
}

Shapes shapes_for_images(const NetFile& file, Phase phase, const Shape& image) {
  return resnet::shapes_for_images(file.net, file.graph_options(phase), image, FLAGS_batch);
}

Shapes data_shapes(const NetFile& file, Phase phase) {
  if (!FLAGS_input_shape.empty()) {
    return shapes_for_images(file, phase, parse_image_shape(FLAGS_input_shape));
  }
  try {
    return Feed(file.net, file.feed_options(phase)).shapes();
  } catch (const DataError& e) {
    throw DataError(std::string(e.what()) + "; or say what it would hold by --input_shape=C,H,W");
  }
}

std::unique_ptr<Net> build_net(const NetFile& file, std::shared_ptr<Backend> backend, Phase phase,
                               const Shapes& shapes) {
  const bool train = phase == TRAIN;
  return std::make_unique<Net>(file.net, std::move(backend), file.options,
                               train ? shapes : Shapes(), train ? Shapes() : shapes);
}

WeightSet load_weights_flag(Net& net) {
  WeightSet weights = read_caffemodel(FLAGS_weights);
  for (const std::string& note : weights.notes) LOG(INFO) << note;
  net.initialize(0);
  const LoadReport report = load_weights(net, weights, FLAGS_allow_missing);
  LOG(INFO) << weights.path << ": " << report.str();
  weights.blobs.clear();
  return weights;
}

}  // namespace resnet::cli
