// The frame of an ONNX graph: names, inputs, outputs, initialisers, and which nodes become one.
#include "exchange/onnx_graph.h"

#include <bit>

#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"

namespace resnet::onnx {

static_assert(std::endian::native == std::endian::little, "raw_data is little-endian");

std::string Names::unique(const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; !used_.insert(name).second; ++i) name = wanted + "_" + std::to_string(i);
  return name;
}

void set_attribute(NodeProto& node, const std::string& name, int64_t value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INT);
  attribute.set_i(value);
}

void set_attribute(NodeProto& node, const std::string& name, float value) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::FLOAT);
  attribute.set_f(value);
}

void set_attribute(NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
}

GraphWriter::GraphWriter(const Graph& graph, const Graph& other, const NetParameter& net,
                         bool fold_bn)
    : graph_(graph), other_(other) {
  for (const LayerParameter& layer : net.layer()) layers_.emplace(layer.name(), &layer);
  for (const Output& output : graph.outputs) outputs_.insert(output.value);
  name_values();
  find_merges(fold_bn);
}

template <class T>
void GraphWriter::write(const T& op, const Node& node) {
  throw InternalError(std::string(name_of(Op(op))) + " of layer '" + node.layer +
                      "' was not refused");
}

GraphProto GraphWriter::write() {
  out_.set_name(graph_.name.empty() ? "net" : graph_.name);
  write_inputs();
  for (const Node& node : graph_.nodes) {
    if (joined_.contains(&node)) continue;
    std::visit([&](const auto& op) { write(op, node); }, node.op);
  }
  write_outputs();
  describe_values();
  return std::move(out_);
}

void GraphWriter::name_values() {
  value_names_.resize(graph_.values.size());
  const auto assign = [&](ValueId value, const std::string& wanted) {
    std::string& name = value_names_[static_cast<size_t>(value)];
    if (name.empty()) name = values_.unique(wanted);
  };
  for (const Input& input : graph_.inputs) assign(input.value, graph_.value(input.value).name);
  for (const Output& output : graph_.outputs) assign(output.value, output.name);
  for (const auto& [blob, value] : graph_.blobs) {
    if (graph_.value(value).name == blob) assign(value, blob);
  }
  for (const auto& [blob, value] : graph_.blobs) assign(value, blob);
  // Earlier values of a blob that layers change in place.
  for (const Node& node : graph_.nodes) {
    for (const ValueId value : node.out) {
      assign(value, graph_.value(value).name + "/" + node.layer);
    }
  }
}

void GraphWriter::find_merges(bool fold_bn) {
  std::map<ValueId, std::vector<const Node*>> readers;
  for (const Node& node : graph_.nodes) {
    for (const ValueId value : node.in) readers[value].push_back(&node);
  }
  // The node that alone reads what `node` computes, and nothing else that was computed.
  const auto next = [&](const Node& node) -> const Node* {
    const ValueId value = node.out[0];
    const std::vector<const Node*>& found = readers[value];
    if (outputs_.contains(value) || found.size() != 1 || found[0]->in[0] != value) return nullptr;
    return found[0];
  };
  for (const Node& node : graph_.nodes) {
    if (!std::holds_alternative<BatchNorm>(node.op)) continue;
    const Node* const after = next(node);
    const Scale* const scale = after == nullptr ? nullptr : std::get_if<Scale>(&after->op);
    if (scale == nullptr || scale->axis != 1 || scale->num_axes != 1) continue;
    scale_after_[&node] = after;
    joined_.insert(after);
  }
  for (const Node& node : graph_.nodes) {
    if (!fold_bn || !std::holds_alternative<Convolution>(node.op)) continue;
    const Node* const after = next(node);
    if (after == nullptr || !std::holds_alternative<BatchNorm>(after->op)) continue;
    norm_after_[&node] = after;
    joined_.insert(after);
  }
}

void GraphWriter::write_inputs() {
  std::set<ValueId> read = outputs_;
  for (const Node& node : graph_.nodes) read.insert(node.in.begin(), node.in.end());
  for (const Input& input : graph_.inputs) {
    if (!read.contains(input.value)) continue;  // labels
    describe_value(out_.add_input(), name(input.value), input.value);
  }
}

void GraphWriter::write_outputs() {
  std::set<ValueId> named;
  for (const Output& output : graph_.outputs) {
    std::string result = name(output.value);
    if (!named.insert(output.value).second) {  // one more name for a value, as Split gives
      const std::string alias = values_.unique(output.name);
      add("Identity", "output/" + output.name, {result}, alias);
      result = alias;
    }
    describe_value(out_.add_output(), result, output.value);
  }
}

void GraphWriter::describe_values() {
  std::set<std::string> written;
  for (const NodeProto& node : out_.node()) {
    written.insert(node.output().begin(), node.output().end());
  }
  for (const ValueInfoProto& output : out_.output()) written.erase(output.name());
  for (ValueId value = 0; value < static_cast<ValueId>(graph_.values.size()); ++value) {
    if (!written.contains(name(value))) continue;
    describe_value(out_.add_value_info(), name(value), value);
  }
}

void GraphWriter::describe_value(ValueInfoProto* info, const std::string& name,
                                 ValueId value) const {
  info->set_name(name);
  TypeProto::Tensor* const tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(TensorProto::FLOAT);
  const ValueId first_input = graph_.inputs[0].value;
  for (int axis = 0; axis < shape(value).rank(); ++axis) {
    TensorShapeProto::Dimension* const dim = tensor->mutable_shape()->add_dim();
    if (!varies(value, axis)) {
      dim->set_dim_value(shape(value)[axis]);
    } else if (shape(value)[axis] == shape(first_input)[0] &&
               other_shape(value)[axis] == other_shape(first_input)[0]) {
      dim->set_dim_param("N");
    }
  }
  tensor->mutable_shape();  // a scalar has a shape, too
}

NodeProto& GraphWriter::add(const std::string& type, const std::string& name,
                            const std::vector<std::string>& in, const std::string& out) {
  NodeProto& node = *out_.add_node();
  node.set_op_type(type);
  node.set_name(nodes_.unique(name));
  for (const std::string& value : in) node.add_input(value);
  node.add_output(out);
  return node;
}

void GraphWriter::add_reshape(const std::string& node, const std::string& in, ValueId out) {
  std::vector<int64_t> dims = shape(out).dims();
  // Only the first dimension can depend on the batch: layers merge dimensions, but do not move them.
  for (int axis = 0; axis < shape(out).rank(); ++axis) {
    if (varies(out, axis)) dims[static_cast<size_t>(axis)] = -1;
  }
  add("Reshape", node, {in, ints(node + "/shape", dims)}, name(out));
}

std::string GraphWriter::inner(const Node& node, const std::string& what) {
  return values_.unique(node.layer + "/" + what);
}

std::string GraphWriter::floats(const std::string& wanted, const std::vector<int64_t>& dims,
                                const std::vector<float>& values) {
  TensorProto& tensor = *out_.add_initializer();
  tensor.set_name(values_.unique(wanted));
  tensor.set_data_type(TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(values.data(), values.size() * sizeof(float));
  return tensor.name();
}

std::string GraphWriter::ints(const std::string& wanted, const std::vector<int64_t>& values) {
  TensorProto& tensor = *out_.add_initializer();
  tensor.set_name(values_.unique(wanted));
  tensor.set_data_type(TensorProto::INT64);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.set_raw_data(values.data(), values.size() * sizeof(int64_t));
  return tensor.name();
}

std::string GraphWriter::parameter(ValueId value, const std::vector<int64_t>& dims) {
  return floats(graph_.value(value).name, dims.empty() ? shape(value).dims() : dims,
                values_of(value));
}

std::vector<float> GraphWriter::values_of(ValueId value) const {
  const Parameter& parameter =
      graph_.parameters[static_cast<size_t>(graph_.value(value).parameter)];
  const LayerParameter& layer = *layers_.at(parameter.layer);
  const std::string where =
      "layer '" + parameter.layer + "', blob " + std::to_string(parameter.blob);
  if (parameter.blob >= layer.blobs_size()) {
    throw DataError(where + " (" + parameter.role + "): the net holds no such blob");
  }
  const BlobProto& blob = layer.blobs(parameter.blob);
  const Shape stored = blob_shape(blob, where);
  if (stored.count() != parameter.shape.count()) {
    throw DataError(where + " (" + parameter.role + ") has shape " + stored.str() +
                    ", the net wants " + parameter.shape.str());
  }
  return blob_values(blob, where);
}

}  // namespace resnet::onnx
