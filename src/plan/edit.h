// Small queries and edits on a Graph that the passes share.
#pragma once

#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/graph/graph.h"

namespace resnet::plan_edit {

constexpr int kNoNode = -1;

// Nodes that read (write) each value, by ValueId, in graph order.
struct Uses {
  explicit Uses(const Graph& graph);
  std::vector<std::vector<int>> readers;
  std::vector<int> writer;  // kNoNode for inputs and parameters

  // The only node that reads the value, or kNoNode.
  int single_reader(ValueId value) const;
};

// What the backend is asked about this node, from the current descs of its values.
OpDesc op_desc(const Graph& graph, const Node& node);

// Removes the nodes whose index is marked, keeping order.
void erase_nodes(Graph& graph, const std::vector<bool>& dead);

// Inserts nodes[k].second before the node with index nodes[k].first (indices of the old list, ascending).
void insert_before(Graph& graph, const std::vector<std::pair<int, Node>>& nodes);

}  // namespace resnet::plan_edit
