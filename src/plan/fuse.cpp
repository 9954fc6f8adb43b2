// Merging and fusing: each rewrite happens only where the value between the two ops has one reader, was
// not asked for, and the backend supports the result.
#include <algorithm>
#include <map>

#include "plan/edit.h"
#include "plan/passes.h"

namespace resnet::plan_passes {

using plan_edit::erase_nodes;
using plan_edit::kNoNode;
using plan_edit::op_desc;
using plan_edit::Uses;

namespace {

// State of one fusing pass: nodes are rewritten in place; consumed ones are marked dead.
class Rewriter {
 public:
  Rewriter(Graph& graph, const std::set<ValueId>& keep, const Backend& backend)
      : graph_(graph), keep_(keep), backend_(backend), uses_(graph), dead_(graph.nodes.size()) {}
  ~Rewriter() { erase_nodes(graph_, dead_); }
  Rewriter(const Rewriter&) = delete;
  Rewriter& operator=(const Rewriter&) = delete;

  Node& node(int i) { return graph_.nodes[static_cast<size_t>(i)]; }
  bool alive(int i) const { return !dead_[static_cast<size_t>(i)]; }

  // The node that alone reads output 0 of `i`, if it computes a T forward and may absorb or be absorbed.
  template <class T>
  int following(int i) {
    const ValueId dst = node(i).out[0];
    if (keep_.contains(dst)) return kNoNode;
    const int reader = uses_.single_reader(dst);
    if (reader == kNoNode || !alive(reader)) return kNoNode;
    const Node& next = node(reader);
    return next.pass == Pass::forward && std::holds_alternative<T>(next.op) ? reader : kNoNode;
  }

  // Puts `fused` (which computes both nodes) at the place of `second` and drops `first`; false if the
  // backend cannot do it.
  bool replace(int first, int second, Node fused) {
    if (!backend_.supports(op_desc(graph_, fused)).ok) return false;
    forget(first);
    forget(second);
    dead_[static_cast<size_t>(first)] = true;
    node(second) = std::move(fused);
    uses_.readers.resize(graph_.values.size());  // masks and folded weights are younger
    uses_.writer.resize(graph_.values.size(), kNoNode);
    for (const ValueId v : node(second).in) readers(v).push_back(second);
    for (const ValueId v : node(second).out) uses_.writer[static_cast<size_t>(v)] = second;
    return true;
  }

  const Uses& uses() const { return uses_; }

 private:
  std::vector<int>& readers(ValueId v) { return uses_.readers[static_cast<size_t>(v)]; }
  void forget(int i) {
    for (const ValueId v : node(i).in) std::erase(readers(v), i);
  }

  Graph& graph_;
  const std::set<ValueId>& keep_;
  const Backend& backend_;
  Uses uses_;
  std::vector<bool> dead_;
};

bool is_plain_sum(const Node& node) {
  const auto* sum = std::get_if<Eltwise>(&node.op);
  return sum != nullptr && sum->kind == Eltwise::Kind::sum && !sum->relu && node.in.size() == 2 &&
         node.in[0] != node.in[1] &&
         std::all_of(sum->coeff.begin(), sum->coeff.end(), [](double c) { return c == 1.0; });
}

bool is_plain_relu(const Node& node) {
  const auto* relu = std::get_if<Relu>(&node.op);
  return relu != nullptr && relu->slope == 0;
}

ValueId other_input(const Node& sum, ValueId one) {
  return sum.in[0] == one ? sum.in[1] : sum.in[0];
}

// With two terms that could absorb the sum the later one does: whether no T writes the other term after
// node `i`. (The fused node stands where the sum stood, so any term that comes first is fine.)
template <class T>
bool is_last_term(Rewriter& rewriter, int sum, int i) {
  const ValueId other = other_input(rewriter.node(sum), rewriter.node(i).out[0]);
  const int writer = rewriter.uses().writer[static_cast<size_t>(other)];
  return writer < i || !std::holds_alternative<T>(rewriter.node(writer).op);
}

// Adds a mask output to a BatchNorm node that ends in ReLU.
void add_mask(Graph& graph, Node& node) {
  auto& bn = std::get<BatchNorm>(node.op);
  bn.has_mask = true;
  std::vector<TensorDesc> in;
  for (const ValueId v : node.in) in.push_back(graph.value(v).desc);
  const TensorDesc mask = infer(node.op, in).back();
  node.out.push_back(graph.add_value({.name = node.layer + "/mask", .desc = mask}));
}

}  // namespace

void merge_batch_norm_scale(Graph& graph, const std::set<ValueId>& keep, const Backend& backend) {
  Rewriter rewriter(graph, keep, backend);
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    const auto* bn = std::get_if<BatchNorm>(&rewriter.node(i).op);
    if (bn == nullptr || bn->gamma) continue;
    const int next = rewriter.following<Scale>(i);
    if (next == kNoNode) continue;
    const Node& scale = rewriter.node(next);
    const auto& attributes = std::get<Scale>(scale.op);
    const bool reads_bn_as_src = scale.in[0] == rewriter.node(i).out[0];
    if (attributes.axis != 1 || attributes.num_axes != 1 || !reads_bn_as_src) continue;

    Node fused = rewriter.node(i);
    auto& merged = std::get<BatchNorm>(fused.op);
    merged.gamma = true;
    merged.beta = attributes.bias;
    fused.in.insert(fused.in.end(), scale.in.begin() + 1, scale.in.end());
    fused.out[0] = scale.out[0];
    rewriter.replace(i, next, std::move(fused));
  }
}

void fuse_batch_norm(Graph& graph, const std::set<ValueId>& keep, const Backend& backend,
                     bool masks) {
  Rewriter rewriter(graph, keep, backend);
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    if (!rewriter.alive(i) || !std::holds_alternative<BatchNorm>(rewriter.node(i).op)) continue;
    int at = i;  // where the fused node stands
    const int sum = rewriter.following<Eltwise>(at);
    if (sum != kNoNode && is_plain_sum(rewriter.node(sum)) &&
        is_last_term<BatchNorm>(rewriter, sum, at)) {
      Node fused = rewriter.node(at);
      std::get<BatchNorm>(fused.op).add = true;
      fused.in.push_back(other_input(rewriter.node(sum), fused.out[0]));
      fused.out[0] = rewriter.node(sum).out[0];
      if (rewriter.replace(at, sum, std::move(fused))) at = sum;
    }
    const int relu = rewriter.following<Relu>(at);
    if (relu != kNoNode && is_plain_relu(rewriter.node(relu))) {
      Node fused = rewriter.node(at);
      std::get<BatchNorm>(fused.op).relu = true;
      fused.out[0] = rewriter.node(relu).out[0];
      if (masks) add_mask(graph, fused);
      rewriter.replace(at, relu, std::move(fused));
    }
  }
  // Sums that no BatchNorm absorbed.
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    if (!rewriter.alive(i) || !is_plain_sum(rewriter.node(i))) continue;
    const int relu = rewriter.following<Relu>(i);
    if (relu == kNoNode || !is_plain_relu(rewriter.node(relu))) continue;
    Node fused = rewriter.node(i);
    std::get<Eltwise>(fused.op).relu = true;
    fused.out[0] = rewriter.node(relu).out[0];
    rewriter.replace(i, relu, std::move(fused));
  }
}

void fold_shortcuts(Graph& graph, const std::set<ValueId>& keep, const Backend& backend) {
  Rewriter rewriter(graph, keep, backend);
  for (int i = 0; i < static_cast<int>(graph.nodes.size()); ++i) {
    const Node& shortcut = rewriter.node(i);
    if (shortcut.pass != Pass::forward || !std::holds_alternative<IdentityShortcut>(shortcut.op)) {
      continue;
    }
    const int at = rewriter.following<BatchNorm>(i);
    if (at == kNoNode) continue;
    Node fused = rewriter.node(at);
    auto& bn = std::get<BatchNorm>(fused.op);
    if (!bn.add || !bn.relu || bn.add_stride != 0 || fused.in.back() != shortcut.out[0]) continue;
    bn.add_stride = std::get<IdentityShortcut>(shortcut.op).stride;
    fused.in.back() = shortcut.in[0];
    rewriter.replace(i, at, std::move(fused));
  }
}

namespace {

// Folds BatchNorm node `bn_at` into convolution `conv_at`; adds the FoldBatchNorm node to `folds`.
void fold_batch_norm(Graph& graph, Rewriter& rewriter, int conv_at, int bn_at, bool prepare,
                     std::vector<std::pair<int, Node>>& folds) {
  const Node& bn_node = rewriter.node(bn_at);
  const auto& bn = std::get<BatchNorm>(bn_node.op);
  Node conv = rewriter.node(conv_at);
  auto& attributes = std::get<Convolution>(conv.op);

  Node fold{
      .op =
          FoldBatchNorm{.eps = bn.eps, .bias = attributes.bias, .gamma = bn.gamma, .beta = bn.beta},
      .layer = bn_node.layer,
      .section = Section::prepare};
  fold.in.assign(conv.in.begin() + 1, conv.in.end());
  const size_t parameters = 3 + (bn.gamma ? 1 : 0) + (bn.beta ? 1 : 0);
  fold.in.insert(fold.in.end(), bn_node.in.begin() + 1,
                 bn_node.in.begin() + 1 + static_cast<std::ptrdiff_t>(parameters));
  std::vector<TensorDesc> in;
  for (const ValueId v : fold.in) in.push_back(graph.value(v).desc);
  for (const TensorDesc& desc : infer(fold.op, in)) {
    fold.out.push_back(graph.add_value({.name = conv.layer + "/folded", .desc = desc}));
  }
  attributes.bias = true;
  attributes.sum = bn.add;
  attributes.relu = bn.relu;
  attributes.fixed_weights = prepare;
  conv.in = {conv.in[0], fold.out[0], fold.out[1]};
  if (bn.add) conv.in.push_back(bn_node.in.back());
  conv.out = bn_node.out;
  if (rewriter.replace(conv_at, bn_at, std::move(conv))) folds.emplace_back(0, std::move(fold));
}

}  // namespace

void fuse_convolution(Graph& graph, const std::set<ValueId>& keep, const Backend& backend,
                      bool prepare) {
  std::vector<std::pair<int, Node>> folds;
  {
    Rewriter rewriter(graph, keep, backend);
    const int count = static_cast<int>(graph.nodes.size());
    for (int i = 0; i < count; ++i) {
      if (!rewriter.alive(i) || !std::holds_alternative<Convolution>(rewriter.node(i).op)) continue;
      const int bn_at = rewriter.following<BatchNorm>(i);
      if (bn_at != kNoNode && std::get<BatchNorm>(rewriter.node(bn_at).op).global &&
          rewriter.node(bn_at).in[0] == rewriter.node(i).out[0]) {
        fold_batch_norm(graph, rewriter, i, bn_at, prepare, folds);
        continue;
      }
      int at = i;
      const int sum = rewriter.following<Eltwise>(at);
      if (sum != kNoNode && is_plain_sum(rewriter.node(sum)) &&
          is_last_term<Convolution>(rewriter, sum, at)) {
        Node fused = rewriter.node(at);
        std::get<Convolution>(fused.op).sum = true;
        std::get<Convolution>(fused.op).relu = std::get<Eltwise>(rewriter.node(sum).op).relu;
        fused.in.push_back(other_input(rewriter.node(sum), fused.out[0]));
        fused.out[0] = rewriter.node(sum).out[0];
        if (rewriter.replace(at, sum, std::move(fused))) at = sum;
      }
      const int relu = rewriter.following<Relu>(at);
      if (relu != kNoNode && is_plain_relu(rewriter.node(relu))) {
        Node fused = rewriter.node(at);
        std::get<Convolution>(fused.op).relu = true;
        fused.out[0] = rewriter.node(relu).out[0];
        rewriter.replace(at, relu, std::move(fused));
      }
    }
  }
  plan_edit::insert_before(graph, folds);
}

}  // namespace resnet::plan_passes
