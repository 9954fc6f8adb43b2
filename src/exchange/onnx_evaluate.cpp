// Reads ONNX models and evaluates them node by node.
#include "exchange/onnx_evaluate.h"

#include <algorithm>
#include <cstring>

#include "resnet/base/error.h"
#include "resnet/exchange/onnx.h"
#include "resnet/io/files.h"
#include "resnet/proto/onnx.pb.h"

namespace resnet {
namespace onnx {
namespace {

ModelProto read_model(const std::string& path) {
  ModelProto model;
  if (!model.ParseFromString(read_file(path)) || model.graph().node_size() == 0) {
    throw DataError(path + ": not an ONNX model, or damaged");
  }
  return model;
}

// A node's attributes, and its inputs by position.
class Attributes {
 public:
  explicit Attributes(const NodeProto& node) : node_(node) {}

  int64_t number(const std::string& name, int64_t otherwise) const {
    const AttributeProto* const found = find(name, AttributeProto::INT);
    return found == nullptr ? otherwise : found->i();
  }
  double real(const std::string& name, double otherwise) const {
    const AttributeProto* const found = find(name, AttributeProto::FLOAT);
    return found == nullptr ? otherwise : found->f();
  }
  std::vector<int64_t> list(const std::string& name, const std::vector<int64_t>& otherwise) const {
    const AttributeProto* const found = find(name, AttributeProto::INTS);
    if (found == nullptr) return otherwise;
    return {found->ints().begin(), found->ints().end()};
  }
  Window window() const {
    Window window;
    window.kernel = list("kernel_shape", window.kernel);
    window.strides = list("strides", window.strides);
    window.pads = list("pads", window.pads);
    window.dilations = list("dilations", window.dilations);
    window.check();
    return window;
  }

 private:
  const AttributeProto* find(const std::string& name, AttributeProto::AttributeType type) const {
    for (const AttributeProto& attribute : node_.attribute()) {
      if (attribute.name() != name) continue;
      need(attribute.type() == type, "has an attribute '" + name + "' of another type");
      return &attribute;
    }
    return nullptr;
  }
  const NodeProto& node_;
};

class Evaluator {
 public:
  Evaluator(std::string path, const std::vector<std::string>& keep)
      : path_(std::move(path)), model_(read_model(path_)), keep_(keep) {
    for (const TensorProto& tensor : model_.graph().initializer()) add_initializer(tensor);
    for (const NodeProto& node : model_.graph().node()) {
      for (const std::string& name : node.input()) ++readers_[name];
    }
  }

  void feed(const std::map<std::string, HostArray>& inputs) {
    for (const ValueInfoProto& info : model_.graph().input()) {
      const auto found = inputs.find(info.name());
      if (found == inputs.end())
        throw DataError(path_ + ": input '" + info.name() + "' is missing");
      const auto& dims = info.type().tensor_type().shape().dim();
      const Shape& shape = found->second.shape;
      bool fits = dims.size() == shape.rank();
      for (int i = 0; fits && i < dims.size(); ++i) {
        fits = !dims[i].has_dim_value() || dims[i].dim_value() == shape[i];
      }
      if (!fits)
        throw DataError(path_ + ": input '" + info.name() + "' is not of shape " + shape.str());
      arrays_[info.name()] = found->second;
    }
  }

  void run() {
    for (const NodeProto& node : model_.graph().node()) {
      try {
        need(node.output_size() == 1, "has more than one output");
        arrays_[node.output(0)] = compute(node);
      } catch (const BadNode& e) {
        throw DataError(path_ + ": node '" + node.name() + "' (" + node.op_type() + ") " +
                        e.what());
      }
      for (const std::string& name : node.input()) {
        if (--readers_[name] == 0 && std::count(keep_.begin(), keep_.end(), name) == 0) {
          arrays_.erase(name);
        }
      }
    }
  }

  std::map<std::string, HostArray> results() const {
    std::map<std::string, HostArray> results;
    for (const std::string& name : keep_) {
      const auto found = arrays_.find(name);
      if (found == arrays_.end())
        throw DataError(path_ + ": the model has no value '" + name + "'");
      results[name] = found->second;
    }
    return results;
  }

 private:
  void add_initializer(const TensorProto& tensor) {
    const std::string& bytes = tensor.raw_data();
    const bool integers = tensor.data_type() == TensorProto::INT64;
    const Shape shape({tensor.dims().begin(), tensor.dims().end()});
    const size_t size = integers ? sizeof(int64_t) : sizeof(float);
    if (!integers && tensor.data_type() != TensorProto::FLOAT) {
      throw DataError(path_ + ": '" + tensor.name() + "' is neither FLOAT nor INT64");
    }
    if (bytes.size() % size != 0 || static_cast<int64_t>(bytes.size() / size) != shape.count()) {
      throw DataError(path_ + ": '" + tensor.name() + "' does not hold " + shape.str());
    }
    if (integers) {
      std::vector<int64_t>& values = integers_[tensor.name()];
      values.resize(bytes.size() / size);
      std::memcpy(values.data(), bytes.data(), bytes.size());
    } else {
      HostArray& array = arrays_[tensor.name()];
      array.shape = shape;
      array.data.resize(bytes.size() / size);
      std::memcpy(array.data.data(), bytes.data(), bytes.size());
    }
  }

  static bool has(const NodeProto& node, int i) { return i < node.input_size(); }
  const HostArray& input(const NodeProto& node, int i) const {
    need(has(node, i), "has too few inputs");
    const auto found = arrays_.find(node.input(i));
    need(found != arrays_.end(), "reads '" + node.input(i) + "', which nothing writes before it");
    return found->second;
  }
  const HostArray* optional_input(const NodeProto& node, int i) const {
    return has(node, i) ? &input(node, i) : nullptr;
  }
  const std::vector<int64_t>& list_input(const NodeProto& node, int i) const {
    need(has(node, i), "has too few inputs");
    const auto found = integers_.find(node.input(i));
    need(found != integers_.end(), "reads '" + node.input(i) + "', which is no list of integers");
    return found->second;
  }

  HostArray compute(const NodeProto& node) const {
    const std::string& type = node.op_type();
    const Attributes attributes(node);
    const HostArray& x = input(node, 0);
    if (type == "Conv") {
      return conv(x, input(node, 1), optional_input(node, 2), attributes.window(),
                  attributes.number("group", 1));
    }
    if (type == "BatchNormalization") {
      return batch_normalization(x, input(node, 1), input(node, 2), input(node, 3), input(node, 4),
                                 attributes.real("epsilon", 1e-5));
    }
    if (type == "Gemm") {
      return gemm(x, input(node, 1), optional_input(node, 2), attributes.number("transB", 0) != 0);
    }
    if (type == "Softmax") return softmax(x, axis_of(attributes, x));
    if (type == "Concat") {
      std::vector<const HostArray*> in;
      in.reserve(static_cast<size_t>(node.input_size()));
      for (int i = 0; i < node.input_size(); ++i) in.push_back(&input(node, i));
      return concat(in, axis_of(attributes, x));
    }
    if (type == "Slice") {
      return slice(x, list_input(node, 1), list_input(node, 2), list_input(node, 3),
                   list_input(node, 4));
    }
    if (type == "Pad") {
      need(input(node, 2).data == std::vector<float>{0.0F}, "appends something else than zeros");
      return pad(x, list_input(node, 1));
    }
    if (type == "Flatten" || type == "Reshape") {
      return {type == "Flatten" ? flat_shape(x.shape, attributes.number("axis", 1))
                                : new_shape(x.shape, list_input(node, 1)),
              x.data};
    }
    if (type == "Identity") return x;
    if (type == "Relu" || type == "LeakyRelu") {
      const auto slope = static_cast<float>(type == "Relu" ? 0 : attributes.real("alpha", 0.01));
      HostArray y = x;
      for (float& value : y.data) value = value > 0 ? value : slope * value;
      return y;
    }
    if (type.ends_with("Pool")) return pooled(type, attributes, x);
    return folded(node);
  }

  static HostArray pooled(const std::string& type, const Attributes& attributes,
                          const HostArray& x) {
    const bool max = type == "MaxPool" || type == "GlobalMaxPool";
    need(max || type == "AveragePool" || type == "GlobalAveragePool", kUnknown);
    if (type.starts_with("Global")) {
      need(x.shape.rank() == 4, "wants (N,C,H,W), not " + x.shape.str());
      Window whole;
      whole.kernel = {x.shape[2], x.shape[3]};
      return pool(x, whole, max ? Pool::max : Pool::average);
    }
    need(attributes.number("ceil_mode", 0) == 0, "rounds up");
    const bool padding = attributes.number("count_include_pad", 0) != 0;
    return pool(x, attributes.window(),
                max       ? Pool::max
                : padding ? Pool::average_with_padding
                          : Pool::average);
  }

  // Element by element, over all inputs.
  HostArray folded(const NodeProto& node) const {
    const std::string& type = node.op_type();
    float (*function)(float, float) = nullptr;
    if (type == "Add" || type == "Sum") function = [](float a, float b) { return a + b; };
    if (type == "Mul") function = [](float a, float b) { return a * b; };
    if (type == "Max") function = [](float a, float b) { return std::max(a, b); };
    need(function != nullptr, kUnknown);
    HostArray result = input(node, 0);
    for (int i = 1; i < node.input_size(); ++i) {
      result = combined(result, input(node, i), function);
    }
    return result;
  }

  static int axis_of(const Attributes& attributes, const HostArray& x) {
    const int64_t axis = attributes.number("axis", -1);
    need(axis >= -x.shape.rank() && axis < x.shape.rank(), "has an axis that is not there");
    return static_cast<int>(axis < 0 ? axis + x.shape.rank() : axis);
  }

  static Shape flat_shape(const Shape& shape, int64_t axis) {
    need(axis >= 0 && axis <= shape.rank(), "has an axis that is not there");
    const auto a = static_cast<int>(axis);
    return {shape.count(0, a), shape.count_from(a)};
  }

  // -1: what is left.
  static Shape new_shape(const Shape& shape, std::vector<int64_t> dims) {
    int64_t known = 1;
    for (const int64_t dim : dims) {
      need(dim == -1 || (dim >= 1 && dim <= shape.count()), "has a dimension that is not possible");
      if (dim != -1) known *= dim;
      need(known <= shape.count(), "makes more elements than there are");
    }
    const auto open = std::find(dims.begin(), dims.end(), -1);
    if (open != dims.end()) *open = shape.count() / known;  // known is at least 1
    need(std::count(dims.begin(), dims.end(), -1) == 0, "has two dimensions that are open");
    const Shape result(dims);
    need(result.count() == shape.count(), "turns " + shape.str() + " into " + result.str());
    return result;
  }

  static constexpr const char* kUnknown = "is none of the operators that `resnet export` writes";
  std::string path_;
  ModelProto model_;
  const std::vector<std::string>& keep_;
  std::map<std::string, HostArray> arrays_;
  std::map<std::string, std::vector<int64_t>> integers_;
  std::map<std::string, int> readers_;  // nodes that are still to read a value
};

}  // namespace
}  // namespace onnx

std::map<std::string, HostArray> evaluate_onnx(const std::string& path,
                                               const std::map<std::string, HostArray>& inputs,
                                               const std::vector<std::string>& names) {
  onnx::Evaluator evaluator(path, names);
  evaluator.feed(inputs);
  evaluator.run();
  return evaluator.results();
}

OnnxInfo read_onnx_info(const std::string& path) {
  const onnx::ModelProto model = onnx::read_model(path);
  OnnxInfo info;
  for (const onnx::OperatorSetIdProto& set : model.opset_import()) {
    if (set.domain().empty()) info.opset = static_cast<int>(set.version());
  }
  for (const onnx::ValueInfoProto& input : model.graph().input())
    info.inputs.push_back(input.name());
  for (const onnx::ValueInfoProto& output : model.graph().output()) {
    info.outputs.push_back(output.name());
  }
  for (const onnx::NodeProto& node : model.graph().node()) ++info.operators[node.op_type()];
  for (const onnx::NodeProto& node : model.graph().node()) {
    info.values.insert(node.output().begin(), node.output().end());
  }
  for (const onnx::StringStringEntryProto& entry : model.metadata_props()) {
    info.metadata[entry.key()] = entry.value();
  }
  return info;
}

}  // namespace resnet
