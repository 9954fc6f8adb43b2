#include <string>

#include "resnet/base/error.h"
#include "resnet/graph/graph.h"

namespace resnet {
namespace {

// Checks one graph; `written_` says which values hold something at the current node.
class Validator {
 public:
  explicit Validator(const Graph& graph) : graph_(graph), written_(graph.values.size()) {
    for (size_t i = 0; i < written_.size(); ++i) {
      const ValueKind kind = graph.values[i].kind;
      written_[i] = kind == ValueKind::input || kind == ValueKind::weight ||
                    kind == ValueKind::weight_copy || kind == ValueKind::state;
    }
  }

  void run() {
    for (const Node& node : graph_.nodes) {
      for (const ValueId id : node.in) check_read(node, id);
      for (const ValueId id : node.accumulate_from) {
        if (id != kNoValue) check_read(node, id);
      }
      if (node.pass == Pass::forward) check_shapes(node);
      for (size_t i = 0; i < node.out.size(); ++i) check_write(node, i);
    }
    for (const Output& output : graph_.outputs) check(written(output.value), output.name, "output");
    for (const auto& [name, id] : graph_.blobs) check(written(id), name, "blob");
    for (const Parameter& parameter : graph_.parameters) check_parameter(parameter);
  }

 private:
  [[noreturn]] static void fail(const Node& node, const std::string& fact) {
    throw InternalError("invalid graph: " + std::string(name_of(node.op)) + " (" +
                        name_of(node.pass) + ") of layer '" + node.layer + "': " + fact);
  }

  static void check(bool ok, const std::string& name, const std::string& what) {
    if (!ok) throw InternalError("invalid graph: " + what + " '" + name + "' is never written");
  }

  bool exists(ValueId id) const { return id >= 0 && static_cast<size_t>(id) < written_.size(); }
  bool written(ValueId id) const { return exists(id) && written_[static_cast<size_t>(id)]; }
  std::string text(ValueId id) const {
    return exists(id) ? "value " + std::to_string(id) + " ('" + graph_.value(id).name + "')"
                      : "value " + std::to_string(id) + ", which does not exist,";
  }

  void check_read(const Node& node, ValueId id) const {
    if (!written(id)) fail(node, "reads " + text(id) + " before it is written");
  }

  void check_write(const Node& node, size_t i) {
    const ValueId id = node.out[i];
    if (!exists(id)) fail(node, "writes " + text(id));
    const Value& value = graph_.value(id);
    if (value.kind == ValueKind::input) fail(node, "writes the input " + text(id));
    if (value.kind == ValueKind::activation && written(id))
      fail(node, "writes " + text(id) + " twice");
    written_[static_cast<size_t>(id)] = true;
  }

  void check_shapes(const Node& node) const {
    std::vector<TensorDesc> in;
    for (const ValueId id : node.in) in.push_back(graph_.value(id).desc);
    std::vector<TensorDesc> expected;
    try {
      expected = infer(node.op, in);
    } catch (const Error& e) {
      fail(node, e.what());
    }
    if (expected.size() != node.out.size()) {
      fail(node, "has " + std::to_string(node.out.size()) + " outputs instead of " +
                     std::to_string(expected.size()));
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!exists(node.out[i])) continue;  // reported by check_write
      const TensorDesc& actual = graph_.value(node.out[i]).desc;
      // A backend may enlarge masks (u8) for padded storage.
      const bool same = actual.shape == expected[i].shape || expected[i].dtype == DType::u8;
      if (!same || actual.dtype != expected[i].dtype) {
        fail(node, text(node.out[i]) + " is " + actual.str() + " instead of " + expected[i].str());
      }
    }
  }

  void check_parameter(const Parameter& parameter) const {
    const bool ok =
        exists(parameter.value) && graph_.value(parameter.value).desc.shape == parameter.shape;
    if (!ok) {
      throw InternalError("invalid graph: parameter '" + parameter.name() +
                          "' has no value of its shape " + parameter.shape.str());
    }
  }

  const Graph& graph_;
  std::vector<bool> written_;
};

}  // namespace

void validate(const Graph& graph) { Validator(graph).run(); }

}  // namespace resnet
