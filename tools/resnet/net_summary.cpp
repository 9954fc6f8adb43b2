#include "net_summary.h"

#include <algorithm>
#include <array>
#include <map>

namespace resnet::cli {
namespace {

bool in_place(const LayerParameter& layer, const std::string& top) {
  return std::count(layer.bottom().begin(), layer.bottom().end(), top) > 0;
}

// Bytes of the layer's own blobs: not in place, and not another name for a value of another layer.
int64_t bytes_of(const LayerParameter& layer, const Graph& graph) {
  int64_t bytes = 0;
  for (const std::string& top : layer.top()) {
    if (in_place(layer, top) || layer.type() == "Split") continue;
    const TensorDesc& desc = graph.value(graph.blobs.at(top)).desc;
    bytes += desc.count() * size_of(desc.dtype);
  }
  return bytes;
}

std::string with_commas(int64_t n) {
  std::string text = std::to_string(n);
  for (size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
  return text;
}

using Row = std::array<std::string, 6>;

Row row_of(const LayerSummary& layer) {
  const auto number = [](int64_t n) { return n == 0 ? std::string() : with_commas(n); };
  return {layer.name,
          layer.type,
          layer.shape.rank() > 0 ? layer.shape.str() : "",
          number(layer.parameters),
          number(layer.multiply_adds),
          number(layer.bytes)};
}

}  // namespace

NetSummary summarize(const NetParameter& net, const GraphOptions& options) {
  const Graph graph = build_graph(net, options);
  NetSummary summary;
  summary.name = net.name();
  if (!graph.inputs.empty()) summary.batch = graph.value(graph.inputs[0].value).desc.shape[0];

  std::map<std::string, LayerSummary> by_name;
  for (const auto& [name, value] : graph.layer_outputs) {
    by_name[name].shape = graph.value(value).desc.shape;
  }
  for (const Parameter& parameter : graph.parameters) {
    if (parameter.learnable) by_name[parameter.layer].parameters += parameter.shape.count();
  }
  for (const Node& node : graph.nodes) {
    std::vector<TensorDesc> in;
    for (const ValueId id : node.in) in.push_back(graph.value(id).desc);
    by_name[node.layer].multiply_adds += multiply_adds(node.op, in);
  }
  summary.total.name = "total";
  for (const int i : layers_in_phase(net, options)) {
    LayerSummary layer = by_name[net.layer(i).name()];
    layer.name = net.layer(i).name();
    layer.type = net.layer(i).type();
    layer.bytes = bytes_of(net.layer(i), graph);
    summary.total.parameters += layer.parameters;
    summary.total.multiply_adds += layer.multiply_adds;
    summary.total.bytes += layer.bytes;
    summary.layers.push_back(std::move(layer));
  }
  return summary;
}

std::string table(const NetSummary& summary) {
  std::vector<Row> rows{{"layer", "type", "shape", "parameters", "multiply-adds", "bytes"}};
  for (const LayerSummary& layer : summary.layers) rows.push_back(row_of(layer));
  rows.push_back(row_of(summary.total));

  Row widest;  // the widest text of every column
  for (const Row& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) {
      if (row[c].size() > widest[c].size()) widest[c] = row[c];
    }
  }
  constexpr size_t kFirstNumber = 3;  // numbers are right-aligned
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      const std::string space(widest[c].size() - row[c].size(), ' ');
      line += (c == 0 ? "" : "  ") + (c < kFirstNumber ? row[c] + space : space + row[c]);
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

}  // namespace resnet::cli
