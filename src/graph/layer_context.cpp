#include "graph/layer_context.h"

#include <utility>

#include "graph/checks.h"
#include "resnet/base/error.h"

namespace resnet {

LayerContext::LayerContext(Graph& graph, const GraphOptions& options, const LayerParameter& layer,
                           int index, std::vector<ValueId> inputs)
    : graph_(graph),
      options_(options),
      layer_(layer),
      index_(index),
      inputs_(std::move(inputs)),
      outputs_(static_cast<size_t>(layer.top_size()), kNoValue),
      first_own_value_(static_cast<ValueId>(graph.values.size())) {
  if (graph.phase != TRAIN) return;
  for (int i = 0; i < layer.propagate_down_size(); ++i) {
    ValueId& input = inputs_.at(static_cast<size_t>(i));
    if (!layer.propagate_down(i)) input = stopped(input);
  }
}

ValueId LayerContext::stopped(ValueId value) {
  if (graph_.value(value).kind == ValueKind::input) return value;  // has no gradient anyway
  const ValueId copy = emit(Reshape{desc(value).shape}, {value})[0];
  graph_.value(copy).name = graph_.value(value).name;
  graph_.value(copy).stop_gradient = true;
  return copy;
}

ValueId LayerContext::weight(std::string_view role, const Shape& shape,
                             const FillerParameter& filler) {
  Parameter parameter;
  parameter.filler = filler;
  if (blobs_ < layer_.param_size()) {
    parameter.lr_mult = layer_.param(blobs_).lr_mult();
    parameter.decay_mult = layer_.param(blobs_).decay_mult();
  }
  return add_parameter(role, shape, std::move(parameter));
}

ValueId LayerContext::state(std::string_view role, const Shape& shape) {
  Parameter parameter;
  parameter.learnable = false;
  parameter.lr_mult = parameter.decay_mult = 0;
  return add_parameter(role, shape, std::move(parameter));
}

ValueId LayerContext::add_parameter(std::string_view role, const Shape& shape,
                                    Parameter parameter) {
  check_size(shape);
  parameter.layer = layer_.name();
  parameter.blob = blobs_++;
  parameter.role = role;
  parameter.shape = shape;
  Value value;
  value.name = parameter.name();
  value.desc = {shape, options_.dtype, Layout::any()};
  value.kind = parameter.learnable ? ValueKind::weight : ValueKind::state;
  value.parameter = static_cast<int>(graph_.parameters.size());
  parameter.value = graph_.add_value(std::move(value));
  graph_.parameters.push_back(std::move(parameter));
  return graph_.parameters.back().value;
}

std::vector<ValueId> LayerContext::emit(const Op& op, const std::vector<ValueId>& in) {
  std::vector<TensorDesc> descs;
  descs.reserve(in.size());
  for (const ValueId id : in) descs.push_back(desc(id));
  Node node;
  node.op = op;
  node.in = in;
  node.layer = layer_.name();
  for (const TensorDesc& desc : infer(op, descs)) {
    check_size(desc.shape);
    Value value;
    value.name = layer_.name();
    value.desc = desc;
    node.out.push_back(graph_.add_value(std::move(value)));
  }
  graph_.nodes.push_back(node);
  return node.out;
}

void LayerContext::emit_into(const Op& op, const std::vector<ValueId>& in,
                             const std::vector<ValueId>& out) {
  for (const ValueId id : in) {
    Value& value = graph_.value(id);
    value.kind = ValueKind::statistics;
    value.name = layer_.name() + "/statistics";
  }
  Node node;
  node.op = op;
  node.in = in;
  node.out = out;
  node.layer = layer_.name();
  graph_.nodes.push_back(std::move(node));
}

void LayerContext::output(int i, ValueId value) {
  if (i == 0) first_output_ = value;
  if (i >= num_outputs()) return;  // a loss needs no top
  outputs_.at(static_cast<size_t>(i)) = value;
  if (value >= first_own_value_) graph_.value(value).name = layer_.top(i);
}

void LayerContext::loss(int i, ValueId value, double loss_weight) {
  loss_top_ = i;
  add_output(i, value, Output::Kind::loss, loss_weight);
}

void LayerContext::metric(int i, ValueId value) { add_output(i, value, Output::Kind::metric, 0); }

void LayerContext::add_output(int i, ValueId value, Output::Kind kind, double loss_weight) {
  output(i, value);
  const std::string& name = i < num_outputs() ? layer_.top(i) : layer_.name();
  graph_.outputs.push_back({name, value, kind, loss_weight});
}

ValueId LayerContext::clock() {
  if (graph_.clock == kNoValue) {
    Value value;
    value.name = "clock";
    value.desc = {Shape{2}, DType::f64, Layout::any()};
    value.kind = ValueKind::input;
    graph_.clock = graph_.add_value(std::move(value));
  }
  return graph_.clock;
}

std::vector<ValueId> LayerContext::outputs() const {
  for (const ValueId id : outputs_) {
    if (id == kNoValue) {
      throw InternalError("layer type '" + layer_.type() + "' left out a top of '" + layer_.name() +
                          "'");
    }
  }
  return outputs_;
}

}  // namespace resnet
