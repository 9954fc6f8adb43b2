#include "plan/edit.h"

namespace resnet::plan_edit {

Uses::Uses(const Graph& graph)
    : readers(graph.values.size()), writer(graph.values.size(), kNoNode) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    for (const ValueId v : node.in) readers[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    for (const ValueId v : node.accumulate_from) {
      if (v != kNoValue) readers[static_cast<size_t>(v)].push_back(static_cast<int>(i));
    }
    for (const ValueId v : node.out) writer[static_cast<size_t>(v)] = static_cast<int>(i);
  }
}

int Uses::single_reader(ValueId value) const {
  const auto& nodes = readers[static_cast<size_t>(value)];
  return nodes.size() == 1 ? nodes[0] : kNoNode;
}

OpDesc op_desc(const Graph& graph, const Node& node) {
  OpDesc desc{.op = node.op, .pass = node.pass, .in = {}, .out = {}, .accumulate = {}};
  for (const ValueId v : node.in) desc.in.push_back(graph.value(v).desc);
  for (const ValueId v : node.out) desc.out.push_back(graph.value(v).desc);
  for (const ValueId v : node.accumulate_from) desc.accumulate.push_back(v != kNoValue);
  return desc;
}

void erase_nodes(Graph& graph, const std::vector<bool>& dead) {
  size_t kept = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (dead[i]) continue;
    if (kept != i) graph.nodes[kept] = std::move(graph.nodes[i]);
    ++kept;
  }
  graph.nodes.resize(kept);
}

void insert_before(Graph& graph, const std::vector<std::pair<int, Node>>& nodes) {
  std::vector<Node> merged;
  merged.reserve(graph.nodes.size() + nodes.size());
  size_t next = 0;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    while (next < nodes.size() && nodes[next].first == static_cast<int>(i)) {
      merged.push_back(nodes[next++].second);
    }
    merged.push_back(std::move(graph.nodes[i]));
  }
  while (next < nodes.size()) merged.push_back(nodes[next++].second);
  graph.nodes = std::move(merged);
}

}  // namespace resnet::plan_edit
