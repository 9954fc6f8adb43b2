// Inputs of a device: they are written there anyway, so that they may be written as their readers want them.
#include "plan/edit.h"
#include "plan/passes.h"

namespace resnet::plan_passes {

void adopt_inputs(Graph& graph, const std::set<ValueId>& keep) {
  for (const Input& input : graph.inputs) {
    if (keep.contains(input.value)) continue;
    while (true) {
      const int reader = plan_edit::Uses(graph).single_reader(input.value);
      if (reader == plan_edit::kNoNode) break;
      const Node& node = graph.nodes[static_cast<size_t>(reader)];
      if (!std::holds_alternative<Reorder>(node.op) || node.section != Section::forward) break;
      const ValueId copy = node.out[0];
      if (keep.contains(copy) || graph.value(copy).kind != ValueKind::activation) break;
      graph.value(input.value).desc = graph.value(copy).desc;
      std::vector<bool> dead(graph.nodes.size(), false);
      dead[static_cast<size_t>(reader)] = true;
      plan_edit::erase_nodes(graph, dead);
      for (Node& other : graph.nodes) {
        for (ValueId& v : other.in) {
          if (v == copy) v = input.value;
        }
      }
    }
  }
}

}  // namespace resnet::plan_passes
