// Trading time for memory: BatchNorm (+ ReLU) outputs are rebuilt in backward from what is kept anyway, and
// weights are copied to other layouts each time they are needed.
#include <algorithm>

#include "plan/edit.h"
#include "plan/passes.h"

namespace resnet::plan_passes {
namespace {

// The first backward node that reads the value, or kNoNode.
int first_backward_reader(const Graph& graph, const plan_edit::Uses& uses, ValueId value) {
  for (const int reader : uses.readers[static_cast<size_t>(value)]) {
    if (graph.nodes[static_cast<size_t>(reader)].section == Section::backward) return reader;
  }
  return plan_edit::kNoNode;
}

}  // namespace

std::vector<int> recompute_candidates(const Graph& graph, const std::set<ValueId>& keep) {
  const plan_edit::Uses uses(graph);
  std::vector<int> candidates;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const auto* bn = std::get_if<BatchNorm>(&node.op);
    if (bn == nullptr || node.pass != Pass::forward || node.section != Section::forward) continue;
    if (bn->global || bn->add || keep.contains(node.out[0])) continue;
    if (first_backward_reader(graph, uses, node.out[0]) != plan_edit::kNoNode) {
      candidates.push_back(static_cast<int>(i));
    }
  }
  return candidates;
}

void recompute(Graph& graph, const std::vector<int>& nodes) {
  const plan_edit::Uses uses(graph);
  std::vector<std::pair<int, Node>> insertions;
  for (const int index : nodes) {
    const Node& forward = graph.nodes[static_cast<size_t>(index)];
    const ValueId dst = forward.out[0];
    const int reader = first_backward_reader(graph, uses, dst);
    auto op = std::get<BatchNorm>(forward.op);
    op.has_mask = false;
    Node again{.op = op,
               .pass = Pass::recompute,
               .in = {forward.in[0], forward.out[1]},
               .layer = forward.layer,
               .section = Section::backward};
    again.in.insert(again.in.end(), forward.in.begin() + 1, forward.in.end());
    const ValueId copy =
        graph.add_value({.name = graph.value(dst).name + "/again", .desc = graph.value(dst).desc});
    again.out = {copy};
    for (const int user : uses.readers[static_cast<size_t>(dst)]) {
      Node& node = graph.nodes[static_cast<size_t>(user)];
      if (node.section == Section::backward)
        std::replace(node.in.begin(), node.in.end(), dst, copy);
    }
    insertions.emplace_back(reader, std::move(again));
  }
  std::stable_sort(insertions.begin(), insertions.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  plan_edit::insert_before(graph, insertions);
}

void copy_weights_late(Graph& graph) {
  const plan_edit::Uses uses(graph);
  std::vector<std::pair<int, Node>> insertions;
  for (const Node& node : graph.nodes) {
    if (node.section != Section::prepare || !std::holds_alternative<Reorder>(node.op)) continue;
    const ValueId copy = node.out[0];
    const std::vector<int>& readers = uses.readers[static_cast<size_t>(copy)];
    const auto section_of = [&](int reader) {
      return graph.nodes[static_cast<size_t>(reader)].section;
    };
    if (graph.value(node.in[0]).parameter < 0 || std::ranges::any_of(readers, [&](int reader) {
          return section_of(reader) == Section::prepare;
        })) {
      continue;
    }
    for (const int reader : readers) {
      Node late = node;
      late.section = section_of(reader);
      late.out[0] =
          graph.add_value({.name = graph.value(copy).name, .desc = graph.value(copy).desc});
      auto& in = graph.nodes[static_cast<size_t>(reader)].in;
      std::replace(in.begin(), in.end(), copy, late.out[0]);
      insertions.emplace_back(reader, std::move(late));
    }
  }
  std::stable_sort(insertions.begin(), insertions.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  plan_edit::insert_before(graph, insertions);
}

}  // namespace resnet::plan_passes
