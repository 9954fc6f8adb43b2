#include "resnet/exchange/onnx.h"

#include <limits>
#include <set>

#include "exchange/onnx_graph.h"
#include "exchange/onnx_metadata.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

constexpr int kIrVersion = 8;  // of opset 17; later sets are read with it as well

// The places of layers in messages.
class Places {
 public:
  Places(const NetParameter& net, const GraphOptions& options) : net_(net), options_(options) {
    for (const int i : layers_in_phase(net, options)) layers_.emplace(net.layer(i).name(), i);
  }

  // "file:12: layer 'x': "
  std::string of(const std::string& layer) const {
    const int index = layers_.at(layer);
    return of_net(index) + "layer '" + layer + "' (" + net_.layer(index).type() + "): ";
  }
  std::string of_net(int layer = -1) const {
    if (options_.locate) return options_.locate(layer) + ": ";
    return net_.name().empty() ? "net: " : net_.name() + ": ";
  }

 private:
  const NetParameter& net_;
  const GraphOptions& options_;
  std::map<std::string, int> layers_;
};

void throw_lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  if (!text.empty()) throw ConfigError(text);
}

void refuse_what_cannot_be(const Graph& graph, const NetParameter& net, const Places& places) {
  std::vector<std::string> lines;
  for (const Input& input : graph.inputs) {
    if (input.layer < 0 || net.layer(input.layer).type() != "DummyData") continue;
    lines.push_back(places.of(net.layer(input.layer).name()) +
                    "draws its values, which a model does not; use an Input layer");
  }
  for (const Output& output : graph.outputs) {
    for (const Input& input : graph.inputs) {
      if (graph.value(input.value).name != output.name) continue;
      lines.push_back(places.of_net() + "'" + output.name +
                      "' is an input and, changed in place, an output; give the output a name");
    }
  }
  std::set<std::string> named;  // layers have several nodes
  for (const Node& node : graph.nodes) {
    const std::string reason = onnx::refusal(node);
    if (reason.empty() || !named.insert(node.layer).second) continue;
    lines.push_back(places.of(node.layer) + reason);
  }
  if (graph.inputs.empty()) lines.push_back(places.of_net() + "the net has no input");
  if (graph.outputs.empty()) lines.push_back(places.of_net() + "the net has no output");
  throw_lines(lines);
}

// The net for another batch size: the first dimension of its first input, and of those that share it.
Graph with_batch(const NetParameter& net, const Graph& graph, GraphOptions options, int64_t batch) {
  const auto shape = [&](const Input& input) { return graph.value(input.value).desc.shape; };
  for (const Input& input : graph.inputs) {
    Shape changed = shape(input);
    if (changed.rank() == 0 || changed[0] != shape(graph.inputs[0])[0]) continue;
    changed[0] = batch;
    options.input_shapes[graph.value(input.value).name] = changed;
  }
  return build_graph(net, options);
}

// Throws ConfigError where batches of other sizes would need other weights.
void require_same_weights(const Graph& a, const Graph& b, const Places& places) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < a.parameters.size(); ++i) {
    const Parameter& parameter = a.parameters[i];
    if (parameter.shape == b.parameters[i].shape) continue;
    lines.push_back(places.of(parameter.layer) + "the shape of its " + parameter.role +
                    " depends on the number of images");
  }
  throw_lines(lines);
}

onnx::GraphProto graph_of(const NetParameter& net, const OnnxOptions& options) {
  GraphOptions graph_options = options.graph;
  graph_options.phase = TEST;
  graph_options.dtype = DType::f32;
  const Graph graph = build_graph(net, graph_options);
  const Places places(net, graph_options);
  refuse_what_cannot_be(graph, net, places);
  if (options.batch > 0) {
    const Graph fixed = with_batch(net, graph, graph_options, options.batch);
    return onnx::GraphWriter(fixed, fixed, net, options.fold_bn).write();
  }
  // Dimensions in which these two differ are those that follow the batch.
  constexpr int64_t kOne = 5, kOther = 7;
  try {
    const Graph one = with_batch(net, graph, graph_options, kOne);
    const Graph other = with_batch(net, graph, graph_options, kOther);
    require_same_weights(one, other, places);
    return onnx::GraphWriter(one, other, net, options.fold_bn).write();
  } catch (const ConfigError& e) {
    throw ConfigError(std::string(e.what()) + "\n" + places.of_net() +
                      "the net does not take batches of any size; --batch=N writes a model for N");
  }
}

void add_metadata(onnx::ModelProto& model, const std::map<std::string, std::string>& entries) {
  for (const auto& [key, value] : entries) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
}

}  // namespace

void write_onnx(const std::string& path, const NetParameter& net, const OnnxOptions& options) {
  if (options.opset < kFirstOnnxOpset || options.opset > kLastOnnxOpset) {
    throw ConfigError("--opset=" + std::to_string(options.opset) + ": models are written for " +
                      std::to_string(kFirstOnnxOpset) + " to " + std::to_string(kLastOnnxOpset));
  }
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.add_opset_import()->set_version(options.opset);
  model.mutable_opset_import(0)->set_domain("");
  model.set_producer_name("resnet");
  if (!options.producer_version.empty()) model.set_producer_version(options.producer_version);
  *model.mutable_graph() = graph_of(net, options);

  std::map<std::string, std::string> metadata = options.metadata;
  metadata["batch_norm"] = options.fold_bn ? "folded" : "kept";
  if (net.has_preprocessing()) {
    metadata.merge(onnx::preprocessing_metadata(net.preprocessing()));
  }
  add_metadata(model, metadata);

  const size_t bytes = model.ByteSizeLong();
  if (bytes > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw DataError(path + ": the model would have " + std::to_string(bytes) +
                    " bytes; an ONNX file holds 2 GiB");
  }
  write_file_atomic(path, {model.SerializeAsString()});
}

}  // namespace resnet
