// Reverse-mode differentiation on the graph: every backward computation becomes a visible node.
#include <algorithm>
#include <map>

#include "plan/edit.h"
#include "plan/passes.h"
#include "resnet/base/error.h"

namespace resnet::plan_passes {
namespace {

class Differentiator {
 public:
  Differentiator(Graph& graph, bool input_gradients)
      : graph_(graph), input_gradients_(input_gradients) {
    mark_needed();
  }

  void run() {
    const size_t forward_nodes = graph_.nodes.size();
    std::vector<Node> statistics;  // stay at the end
    while (!graph_.nodes.empty() && graph_.nodes.back().section == Section::statistics) {
      statistics.push_back(std::move(graph_.nodes.back()));
      graph_.nodes.pop_back();
    }
    for (size_t i = forward_nodes - statistics.size(); i-- > 0;) {
      node_ = graph_.nodes[i];  // a copy: emitting grows the list
      if (node_.section != Section::forward || node_.pass != Pass::forward) continue;
      std::visit([this](const auto& op) { backward(op); }, node_.op);
    }
    if (input_gradients_) {
      for (const Input& input : graph_.inputs) {
        const ValueId diff = take_gradient(input.value);
        if (diff != kNoValue) graph_.blobs["diff:" + graph_.value(input.value).name] = diff;
      }
    }
    std::move(statistics.rbegin(), statistics.rend(), std::back_inserter(graph_.nodes));
  }

 private:
  // A value needs a gradient if a trained parameter (or a requested input) influences it.
  void mark_needed() {
    needed_.assign(graph_.values.size(), false);
    for (const Parameter& p : graph_.parameters) {
      if (p.learnable && p.lr_mult != 0) needed_[static_cast<size_t>(p.value)] = true;
    }
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      const Value& value = graph_.values[v];
      if (value.kind == ValueKind::weight_copy) needed_[v] = needs(master(value));
    }
    if (input_gradients_) {
      for (const Input& input : graph_.inputs) needed_[static_cast<size_t>(input.value)] = true;
    }
    for (const Node& node : graph_.nodes) {
      if (node.section != Section::forward) continue;
      const bool any =
          std::any_of(node.in.begin(), node.in.end(), [&](ValueId v) { return needs(v); });
      for (const ValueId v : node.out) {
        needed_[static_cast<size_t>(v)] = any && !graph_.value(v).stop_gradient;
      }
    }
  }

  // The weight that a copy is of.
  ValueId master(const Value& copy) const {
    return graph_.parameters[static_cast<size_t>(copy.parameter)].value;
  }

  bool needs(ValueId v) const { return needed_[static_cast<size_t>(v)]; }
  const TensorDesc& desc(ValueId v) const { return graph_.value(v).desc; }

  ValueId new_value(const std::string& name, const TensorDesc& like) {
    TensorDesc d = like;
    d.layout = Layout::any();
    return graph_.add_value({.name = name, .desc = d});
  }
  ValueId new_diff(ValueId of) { return new_value("diff:" + graph_.value(of).name, desc(of)); }

  // The gradient of a parameter if it is trained, else a value that nobody reads.
  ValueId parameter_diff(ValueId weight) {
    if (!needs(weight)) return new_diff(weight);
    const Value& value = graph_.value(master(graph_.value(weight)));
    return graph_.add_value({.name = "diff:" + value.name,
                             .desc = value.desc,
                             .kind = ValueKind::gradient,
                             .parameter = value.parameter});
  }

  void emit(Op op, Pass pass, std::vector<ValueId> in, std::vector<ValueId> out) {
    graph_.nodes.push_back({.op = std::move(op),
                            .pass = pass,
                            .in = std::move(in),
                            .out = std::move(out),
                            .layer = node_.layer,
                            .section = Section::backward});
  }

  void contribute(ValueId to, ValueId diff) {
    if (needs(to)) contributions_[to].push_back(diff);
  }

  // The whole gradient of a value: the one contribution, or an explicit sum. kNoValue if there is none.
  ValueId take_gradient(ValueId of) {
    const auto found = contributions_.find(of);
    if (found == contributions_.end()) return kNoValue;
    std::vector<ValueId> terms = std::move(found->second);
    contributions_.erase(found);
    if (terms.size() == 1) return terms[0];
    const ValueId sum = new_diff(of);
    emit(Eltwise{}, Pass::forward, std::move(terms), {sum});
    return sum;
  }
  // Of the first output of the node at hand.
  ValueId diff_dst() { return needs(node_.out[0]) ? take_gradient(node_.out[0]) : kNoValue; }

  // Most ops: one backward node from diff_dst and `extra` to the gradient of input 0.
  void simple_backward(const Op& op, std::vector<ValueId> extra) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    const ValueId src = node_.in[0];
    const ValueId diff_src = new_diff(src);
    extra.insert(extra.begin(), diff);
    emit(op, Pass::backward, std::move(extra), {diff_src});
    contribute(src, diff_src);
  }

  // Convolution and inner product. Weights first: the source may die before diff_src is born.
  template <class T>
  void weighted_backward(T op) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    const ValueId src = node_.in[0];
    const ValueId weights = node_.in[1];
    const ValueId bias = op.bias ? node_.in[2] : kNoValue;
    if (needs(weights) || (bias != kNoValue && needs(bias))) {
      std::vector<ValueId> out{parameter_diff(weights)};
      if (bias != kNoValue) out.push_back(parameter_diff(bias));
      emit(op, Pass::backward_weights, {src, diff}, std::move(out));
    }
    if (needs(src)) {
      op.bias = false;
      const ValueId diff_src = new_diff(src);
      emit(op, Pass::backward_data, {diff, weights}, {diff_src});
      contribute(src, diff_src);
    }
  }

  void backward(const Convolution& op) { weighted_backward(op); }
  void backward(const InnerProduct& op) { weighted_backward(op); }

  void backward(const BatchNorm& op) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    // Inputs: src [mean variance factor] [gamma] [beta] [addend]; outputs: dst [saved stats] [mask].
    size_t next = 1;
    std::vector<ValueId> in{diff, node_.in[0]};
    if (op.global) {
      for (; next < 4; ++next) in.push_back(node_.in[next]);
    } else {
      in.push_back(node_.out[1]);
    }
    const ValueId gamma = op.gamma ? node_.in[next++] : kNoValue;
    const ValueId beta = op.beta ? node_.in[next++] : kNoValue;
    const ValueId addend = op.add ? node_.in[next++] : kNoValue;
    if (op.gamma) in.push_back(gamma);
    if (op.has_mask) in.push_back(node_.out.back());
    if (op.relu && !op.has_mask)
      throw InternalError("BatchNorm with ReLU but without mask in training");

    std::vector<ValueId> out{new_diff(node_.in[0])};
    contribute(node_.in[0], out[0]);
    if (op.gamma) out.push_back(parameter_diff(gamma));
    if (op.beta) out.push_back(parameter_diff(beta));
    if (op.add && op.relu) {
      out.push_back(new_diff(addend));
      contribute(addend, out.back());
    } else if (op.add) {
      contribute(addend, diff);
    }
    emit(op, Pass::backward, std::move(in), std::move(out));
  }

  void backward(const Scale& op) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    std::vector<ValueId> out{new_diff(node_.in[0]), parameter_diff(node_.in[1])};
    if (op.bias) out.push_back(parameter_diff(node_.in[2]));
    contribute(node_.in[0], out[0]);
    emit(op, Pass::backward, {diff, node_.in[0], node_.in[1]}, std::move(out));
  }

  void backward(const Relu& op) { simple_backward(op, {node_.out[0]}); }
  void backward(const Softmax& op) { simple_backward(op, {node_.out[0]}); }
  void backward(const Dropout& op) { simple_backward(op, {node_.out[1]}); }
  void backward(const IdentityShortcut& op) { simple_backward(op, {}); }
  void backward(const Pooling& op) {
    simple_backward(op, op.has_index ? std::vector<ValueId>{node_.out[1]} : std::vector<ValueId>{});
  }

  void backward(const Eltwise& op) {
    ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    if (op.kind != Eltwise::Kind::sum) {
      std::vector<ValueId> in{diff};
      in.insert(in.end(), node_.in.begin(), node_.in.end());
      std::vector<ValueId> out;
      for (const ValueId src : node_.in) {
        out.push_back(new_diff(src));
        contribute(src, out.back());
      }
      emit(op, Pass::backward, std::move(in), std::move(out));
      return;
    }
    if (op.relu) {
      const ValueId before_relu = new_diff(node_.out[0]);
      emit(Relu{}, Pass::backward, {diff, node_.out[0]}, {before_relu});
      diff = before_relu;
    }
    for (size_t i = 0; i < node_.in.size(); ++i) {
      const ValueId src = node_.in[i];
      const double coeff = op.coeff.empty() ? 1.0 : op.coeff[i];
      if (!needs(src)) continue;
      if (coeff == 1.0) {
        contribute(src, diff);
        continue;
      }
      const ValueId scaled = new_diff(src);
      emit(Eltwise{.coeff = {coeff}}, Pass::forward, {diff}, {scaled});
      contribute(src, scaled);
    }
  }

  void backward(const SoftmaxLoss& op) {
    if (!needs(node_.in[0])) return;
    for (const Output& output : graph_.outputs) {
      if (output.value != node_.out[0] || output.loss_weight == 0) continue;
      SoftmaxLoss weighted = op;
      weighted.loss_weight = output.loss_weight;
      std::vector<ValueId> in{node_.out[1]};
      in.insert(in.end(), node_.in.begin() + 1, node_.in.end());
      ValueId diff_src = new_diff(node_.in[0]);
      emit(weighted, Pass::backward, std::move(in), {diff_src});
      if (graph_.loss_scale != kNoValue) {
        const ValueId scaled = new_diff(node_.in[0]);
        emit(ScaleBy{}, Pass::forward, {diff_src, graph_.loss_scale}, {scaled});
        diff_src = scaled;
      }
      contribute(node_.in[0], diff_src);
    }
  }

  void backward(const Concat& op) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    int64_t begin = 0;
    for (const ValueId src : node_.in) {
      const int64_t size = desc(src).shape[op.axis];
      if (needs(src)) {
        const ValueId diff_src = new_diff(src);
        emit(Slice{.axis = op.axis, .begin = begin, .size = size}, Pass::forward, {diff},
             {diff_src});
        contribute(src, diff_src);
      }
      begin += size;
    }
  }

  void backward(const Reshape&) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    const ValueId src = node_.in[0];
    const ValueId diff_src = new_diff(src);
    emit(Reshape{.shape = desc(src).shape}, Pass::forward, {diff}, {diff_src});
    contribute(src, diff_src);
  }

  // Ops without gradient (metrics, counts, constants) or that autodiff itself makes.
  void backward(const UpdateStatistics&) {}
  void backward(const CountLabels&) {}
  void backward(const Accuracy&) {}
  void backward(const Fill&) {}
  void backward(const FoldBatchNorm&) {}
  void backward(const SgdUpdate&) {}
  void backward(const ScaleBy&) {}
  void backward(const SquaredNorm&) {}
  void backward(const RecordBatch&) {}
  void backward(const PrepareUpdate&) {}
  void backward(const DrawBatch&) {}
  void backward(const NormaliseImages&) {}
  void backward(const Slice&) { refuse(); }
  // Layouts are chosen later: so far, this changes the type.
  void backward(const Reorder&) {
    const ValueId diff = diff_dst();
    if (diff == kNoValue) return;
    const ValueId src = node_.in[0];
    const ValueId diff_src = new_diff(src);
    emit(Reorder{.type = desc(src).dtype}, Pass::forward, {diff}, {diff_src});
    contribute(src, diff_src);
  }
  void refuse() const {
    if (needs(node_.out[0]))
      throw InternalError(std::string(name_of(node_.op)) + " has no gradient rule");
  }

  Graph& graph_;
  bool input_gradients_;
  std::vector<bool> needed_;  // by ValueId, of the forward graph
  std::map<ValueId, std::vector<ValueId>> contributions_;
  Node node_;
};

}  // namespace

void differentiate(Graph& graph, bool input_gradients) {
  Differentiator(graph, input_gradients).run();
}

void eliminate_dead(Graph& graph, const std::set<ValueId>& keep) {
  std::vector<bool> live(graph.values.size(), false);
  for (const ValueId v : keep) live[static_cast<size_t>(v)] = true;
  for (size_t v = 0; v < graph.values.size(); ++v) {
    const ValueKind kind = graph.values[v].kind;
    if (kind == ValueKind::gradient || kind == ValueKind::state) live[v] = true;
  }
  std::vector<bool> dead(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    dead[i] = std::none_of(node.out.begin(), node.out.end(),
                           [&](ValueId v) { return live[static_cast<size_t>(v)]; });
    if (dead[i]) continue;
    for (const ValueId v : node.in) live[static_cast<size_t>(v)] = true;
    for (const ValueId v : node.accumulate_from) {
      if (v != kNoValue) live[static_cast<size_t>(v)] = true;
    }
  }
  plan_edit::erase_nodes(graph, dead);
}

void accumulate_sums(Graph& graph, const std::set<ValueId>& keep, const Backend& backend) {
  plan_edit::Uses uses(graph);
  std::vector<bool> dead(graph.nodes.size(), false);
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& sum = graph.nodes[i];
    const auto* op = std::get_if<Eltwise>(&sum.op);
    const bool two_terms = op != nullptr && sum.section == Section::backward && op->coeff.empty() &&
                           !op->relu && sum.in.size() == 2 && sum.in[0] != sum.in[1];
    if (!two_terms) continue;
    // `last` is written after `first`; both are read by nobody else, so `last` may be added into `first`.
    ValueId first = sum.in[0];
    ValueId last = sum.in[1];
    const auto writer = [&](ValueId v) { return uses.writer[static_cast<size_t>(v)]; };
    if (writer(first) > writer(last)) std::swap(first, last);
    if (writer(first) < 0 || keep.contains(first) || keep.contains(last)) continue;
    if (uses.single_reader(first) != static_cast<int>(i) ||
        uses.single_reader(last) != static_cast<int>(i)) {
      continue;
    }
    Node adding = graph.nodes[static_cast<size_t>(writer(last))];
    const auto at = static_cast<size_t>(std::find(adding.out.begin(), adding.out.end(), last) -
                                        adding.out.begin());
    adding.accumulate_from.resize(adding.out.size(), kNoValue);
    if (adding.accumulate_from[at] != kNoValue) continue;
    adding.accumulate_from[at] = first;
    adding.out[at] = sum.out[0];
    if (!backend.supports(plan_edit::op_desc(graph, adding)).ok) continue;
    graph.nodes[static_cast<size_t>(writer(last))] = std::move(adding);
    uses.writer[static_cast<size_t>(sum.out[0])] = writer(last);
    dead[i] = true;
  }
  plan_edit::erase_nodes(graph, dead);
}

}  // namespace resnet::plan_passes
