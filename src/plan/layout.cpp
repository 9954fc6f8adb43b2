// Sections and layouts: where each node runs, and in which memory order each value is kept.
#include <algorithm>
#include <map>

#include "plan/edit.h"
#include "plan/passes.h"
#include "resnet/base/error.h"
#include "resnet/base/nearest.h"

namespace resnet::plan_passes {

std::set<ValueId> protected_values(const Graph& graph, const std::vector<std::string>& keep) {
  std::set<ValueId> values;
  for (const Output& output : graph.outputs) values.insert(output.value);
  std::vector<std::string> known;
  for (const auto& [name, value] : graph.blobs) known.push_back(name);
  for (const std::string& name : keep) {
    constexpr std::string_view kLayer = "layer:";
    if (name.starts_with(kLayer)) {
      const auto found = std::find_if(
          graph.layer_outputs.begin(), graph.layer_outputs.end(),
          [&](const auto& entry) { return entry.first == name.substr(kLayer.size()); });
      if (found == graph.layer_outputs.end()) {
        throw ConfigError("net '" + graph.name + "' has no layer '" + name.substr(kLayer.size()) +
                          "'");
      }
      values.insert(found->second);
      continue;
    }
    const auto found = graph.blobs.find(name);
    if (found == graph.blobs.end()) {
      throw ConfigError("net '" + graph.name + "' has no blob '" + name + "'" +
                        suggestion(name, known));
    }
    values.insert(found->second);
  }
  return values;
}

void assign_sections(Graph& graph) {
  for (Node& node : graph.nodes) {
    if (std::holds_alternative<UpdateStatistics>(node.op)) node.section = Section::statistics;
    if (std::holds_alternative<CountLabels>(node.op)) node.section = Section::prologue;
  }
  std::stable_sort(graph.nodes.begin(), graph.nodes.end(),
                   [](const Node& a, const Node& b) { return a.section < b.section; });
}

namespace {

class LayoutChooser {
 public:
  LayoutChooser(Graph& graph, PlanContext& context, bool blocked)
      : graph_(graph), context_(context), blocked_(blocked) {}

  void run() {
    bind_parameters();
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (graph_.nodes[i].section != Section::prepare) continue;
      for (const ValueId v : graph_.nodes[i].out) prepared_[v] = static_cast<int>(i);
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      resolve(static_cast<int>(i));
    }
    // Weights that nothing but derived copies reads.
    for (const auto& [copy_of, copy] : copies_) {
      Value& value = graph_.value(copy_of);
      if (value.desc.layout.kind != Layout::Kind::any) continue;
      value.desc.layout = Layout::nchw();
      store(value);
    }
    std::stable_sort(insertions_.begin(), insertions_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    plan_edit::insert_before(graph_, insertions_);
    std::stable_sort(graph_.nodes.begin(), graph_.nodes.end(),
                     [](const Node& a, const Node& b) { return a.section < b.section; });
  }

 private:
  // Inputs, statistics, state and vectors are plain; other parameters take the Net's storage if it is
  // chosen already.
  void bind_parameters() {
    for (Value& value : graph_.values) {
      const bool parameter = value.kind == ValueKind::weight || value.kind == ValueKind::state ||
                             value.kind == ValueKind::weight_copy;
      const bool plain = value.kind == ValueKind::input || value.kind == ValueKind::statistics ||
                         (parameter && value.desc.shape.rank() < 2) || !blocked_;
      value.desc.layout = plain ? Layout::nchw() : Layout::any();
      if (!parameter || is_derived_copy(value)) continue;
      const auto stored = context_.parameters.find(name_of_parameter(value));
      if (stored != context_.parameters.end()) value.desc.layout = stored->second.layout;
      if (value.desc.layout.kind != Layout::Kind::any) store(value);
    }
    for (Value& value : graph_.values) {
      if (value.kind == ValueKind::gradient && value.desc.shape.rank() < 2) {
        value.desc.layout = Layout::nchw();
      }
    }
  }

  // A copy of a weight that this program derives itself: read in as many layouts as its readers want.
  bool is_derived_copy(const Value& value) const {
    return value.kind == ValueKind::weight_copy &&
           !keeps_weight_copies(*context_.backend, value.desc.dtype);
  }
  ValueId master(const Value& value) const {
    return graph_.parameters[static_cast<size_t>(value.parameter)].value;
  }
  std::string name_of_parameter(const Value& value) const {
    return graph_.parameters[static_cast<size_t>(value.parameter)].name();
  }
  // A weight and its copy have one layout.
  void store(const Value& value) {
    const ValueId weight = master(value);
    for (Value& other : graph_.values) {
      const bool related =
          (other.kind == ValueKind::weight || other.kind == ValueKind::weight_copy) &&
          other.parameter == value.parameter && !is_derived_copy(other);
      if (related) other.desc.layout = value.desc.layout;
    }
    context_.parameters[name_of_parameter(value)] = graph_.value(weight).desc;
  }

  // The weight of a gradient whose layout was chosen before its own.
  void store_as(const Value& gradient) {
    Value& weight = graph_.value(master(gradient));
    if (weight.desc.layout.kind != Layout::Kind::any) return;
    weight.desc.layout = gradient.desc.layout;
    store(weight);
  }

  // A gradient is kept as its weight is.
  void bind_gradient(ValueId v) {
    Value& value = graph_.value(v);
    if (value.kind != ValueKind::gradient || value.desc.layout.kind != Layout::Kind::any) return;
    value.desc = graph_.value(master(value)).desc;
  }

  void resolve(int index) {
    Node& node = graph_.nodes[static_cast<size_t>(index)];
    for (const ValueId v : node.out) bind_gradient(v);
    for (size_t i = 0; i < node.accumulate_from.size(); ++i) {
      if (node.accumulate_from[i] != kNoValue) {
        graph_.value(node.out[i]).desc = graph_.value(node.accumulate_from[i]).desc;
      }
    }
    const OpDesc asked = plan_edit::op_desc(graph_, node);
    const OpDesc chosen = context_.backend->resolve(asked);
    for (size_t i = 0; i < node.in.size(); ++i) {
      Value& value = graph_.value(node.in[i]);
      if (is_derived_copy(value)) {
        node.in[i] = reordered(master(value), chosen.in[i], index);
        continue;
      }
      if (value.desc == chosen.in[i]) continue;
      if (value.desc.layout.kind == Layout::Kind::any) {
        value.desc = chosen.in[i];
        if (value.kind == ValueKind::weight || value.kind == ValueKind::weight_copy ||
            value.kind == ValueKind::state) {
          store(value);
        }
      } else {
        node.in[i] = reordered(node.in[i], chosen.in[i], index);
      }
    }
    for (size_t i = 0; i < node.out.size(); ++i) {
      Value& value = graph_.value(node.out[i]);
      if (value.desc.layout.kind == Layout::Kind::any) {
        value.desc = chosen.out[i];
        if (value.kind == ValueKind::gradient) store_as(value);
      } else if (!(value.desc == chosen.out[i])) {
        throw InternalError(node.layer +
                            ": the backend changed a fixed output layout: " + asked.str());
      }
    }
  }

  // A copy of `v` in another layout, made before node `index` and shared by later readers. What depends
  // on parameters only is copied in prepare, and at once, so that it need not be held long.
  ValueId reordered(ValueId v, const TensorDesc& desc, int index) {
    for (const auto& [copy_of, copy] : copies_) {
      if (copy_of == v && graph_.value(copy).desc == desc) return copy;
    }
    const Node& reader = graph_.nodes[static_cast<size_t>(index)];
    const ValueKind kind = graph_.value(v).kind;
    const auto prepared = prepared_.find(v);
    const bool constant = kind == ValueKind::weight || kind == ValueKind::weight_copy ||
                          kind == ValueKind::state || prepared != prepared_.end();
    const int at = prepared == prepared_.end() ? index : prepared->second + 1;
    Reorder op;
    std::string name = graph_.value(v).name + "/" + desc.layout.str();
    if (const DType type = graph_.value(v).desc.dtype; desc.dtype != type) {
      op.type = desc.dtype;
      name += std::string("/") + name_of(desc.dtype);
    }
    const ValueId copy = graph_.add_value({.name = name, .desc = desc});
    insertions_.emplace_back(at, Node{.op = op,
                                      .in = {v},
                                      .out = {copy},
                                      .layer = reader.layer,
                                      .section = constant ? Section::prepare : reader.section});
    copies_.emplace_back(v, copy);
    return copy;
  }

  Graph& graph_;
  PlanContext& context_;
  bool blocked_;
  std::vector<std::pair<int, Node>> insertions_;
  std::vector<std::pair<ValueId, ValueId>> copies_;
  std::map<ValueId, int> prepared_;  // the nodes in prepare that write values
};

}  // namespace

void choose_layouts(Graph& graph, PlanContext& context, bool blocked) {
  LayoutChooser(graph, context, blocked).run();
}

}  // namespace resnet::plan_passes
