// Activations in 16 bits: which values change their type, and the conversions between them and the rest.
#include <algorithm>
#include <map>

#include "plan/passes.h"
#include "resnet/base/error.h"

namespace resnet::plan_passes {
namespace {

// The inputs of an op that follow the type of its output, when it computes in 16 bits; the others
// (statistics, vectors of channels) stay as they are. Empty: the op stays in f32.
std::vector<size_t> activations(const Op& op, size_t inputs) {
  std::vector<size_t> all(inputs);
  for (size_t i = 0; i < inputs; ++i) all[i] = i;
  const auto last_if = [&](bool add) {
    return add ? std::vector<size_t>{0, inputs - 1} : std::vector<size_t>{0};
  };
  if (const auto* conv = std::get_if<Convolution>(&op)) return last_if(conv->sum);
  if (const auto* norm = std::get_if<BatchNorm>(&op)) return last_if(norm->add);
  if (std::holds_alternative<Eltwise>(op) || std::holds_alternative<Concat>(op)) return all;
  if (std::holds_alternative<Relu>(op) || std::holds_alternative<Pooling>(op) ||
      std::holds_alternative<Scale>(op) || std::holds_alternative<Slice>(op) ||
      std::holds_alternative<IdentityShortcut>(op) || std::holds_alternative<Dropout>(op) ||
      std::holds_alternative<Reshape>(op)) {
    return {0};
  }
  return {};
}

// Ops that compute in the type that they find.
bool follows(const Op& op) {
  return std::holds_alternative<Reshape>(op) || std::holds_alternative<Dropout>(op) ||
         std::holds_alternative<Relu>(op);
}

bool is_low(DType type) { return type == DType::bf16 || type == DType::f16; }

class Lowering {
 public:
  Lowering(Graph& graph, DType math) : graph_(graph), math_(math) {}

  void run() {
    std::vector<Node> old = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (Node& node : old) {
      const bool kept = node.section == Section::statistics || node.section == Section::prologue ||
                        node.section == Section::prepare;
      if (!kept) lower(node);
      if (node.section == Section::prepare) {
        for (const ValueId v : node.out) prepared_[v] = true;
      }
      graph_.nodes.push_back(std::move(node));
    }
  }

 private:
  void lower(Node& node) {
    const std::vector<size_t> low = activations(node.op, node.in.size());
    const bool first_low = !node.in.empty() && is_low(graph_.value(node.in[0]).desc.dtype);
    const bool computes_low = !low.empty() && (first_low || !follows(node.op));
    for (size_t i = 0; i < node.in.size(); ++i) {
      const bool activation = std::find(low.begin(), low.end(), i) != low.end();
      if (computes_low && std::holds_alternative<Convolution>(node.op) && i == 1) {
        node.in[i] = weights(node, node.in[i]);
      } else if (computes_low && activation) {
        node.in[i] = converted(node, node.in[i], math_);
      } else if (is_low(graph_.value(node.in[i]).desc.dtype)) {
        node.in[i] = converted(node, node.in[i], DType::f32);
      }
    }
    if (!computes_low) return;
    std::vector<TensorDesc> in;
    for (const ValueId v : node.in) in.push_back(graph_.value(v).desc);
    const std::vector<TensorDesc> out = infer(node.op, in);
    for (size_t i = 0; i < out.size(); ++i) graph_.value(node.out[i]).desc.dtype = out[i].dtype;
  }

  // The copy of a weight that the Net keeps; of folded weights a conversion.
  ValueId weights(const Node& reader, ValueId v) {
    if (graph_.value(v).kind != ValueKind::weight) return converted(reader, v, math_);
    const auto [found, fresh] = copies_.emplace(v, kNoValue);
    if (fresh) {
      Value copy = graph_.value(v);
      copy.name += std::string("/") + name_of(math_);
      copy.desc.dtype = math_;
      copy.kind = ValueKind::weight_copy;
      found->second = graph_.add_value(std::move(copy));
    }
    return found->second;
  }

  ValueId converted(const Node& reader, ValueId v, DType type) {
    if (graph_.value(v).desc.dtype == type) return v;
    const auto [found, fresh] = conversions_.emplace(std::pair(v, type), kNoValue);
    if (!fresh) return found->second;
    TensorDesc desc = graph_.value(v).desc;
    desc.dtype = type;
    const ValueId to =
        graph_.add_value({.name = graph_.value(v).name + "/" + name_of(type), .desc = desc});
    const bool constant = prepared_.contains(v);
    if (constant) prepared_[to] = true;
    graph_.nodes.push_back({.op = Reorder{.type = type},
                            .in = {v},
                            .out = {to},
                            .layer = reader.layer,
                            .section = constant ? Section::prepare : reader.section});
    found->second = to;
    return to;
  }

  Graph& graph_;
  DType math_;
  std::map<ValueId, ValueId> copies_;
  std::map<std::pair<ValueId, DType>, ValueId> conversions_;
  std::map<ValueId, bool> prepared_;
};

}  // namespace

}  // namespace resnet::plan_passes

bool resnet::keeps_weight_copies(const Backend& backend, DType math) {
  if (math == DType::f32) return false;
  const TensorDesc weights{.shape = {1}, .dtype = DType::f32, .layout = Layout::nchw()};
  TensorDesc copy = weights;
  copy.dtype = math;
  return backend
      .supports({.op = SgdUpdate{.copy_type = math},
                 .in = {weights, {.shape = {4}, .dtype = DType::f64, .layout = Layout::nchw()}},
                 .out = {weights, weights, copy},
                 .accumulate = {}})
      .ok;
}

namespace resnet::plan_passes {

void lower_precision(Graph& graph, DType math, bool training) {
  if (math == DType::f32) return;
  if (!is_low(math)) throw InternalError(std::string("math in ") + name_of(math));
  Lowering(graph, math).run();
  std::stable_sort(graph.nodes.begin(), graph.nodes.end(),
                   [](const Node& a, const Node& b) { return a.section < b.section; });
  if (training && math == DType::f16) {
    graph.loss_scale =
        graph.add_value({.name = "loss_scale",
                         .desc = {.shape = {1}, .dtype = DType::f64, .layout = Layout::nchw()},
                         .kind = ValueKind::input});
  }
}

}  // namespace resnet::plan_passes
