// A validated net in SSA form: values, nodes, parameters. No memory, no device. Built from a prototxt by
// build_graph(); the plan module's passes map Graph to Graph.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "resnet/layers/layer.h"
#include "resnet/ops/op.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

constexpr ValueId kNoValue = -1;

enum class ValueKind : uint8_t {
  input,        // written by the caller before a run
  activation,   // written by one node, lives in the arena
  weight,       // learnable parameter, owned by the Net
  weight_copy,  // a weight in another type: the Net keeps it up to date, or the program derives it
  state,        // BatchNorm's running statistics, owned by the Net
  gradient,     // of a weight: written by backward, owned by the Net
  statistics    // BatchNorm's batch statistics (2,C): written by forward, owned by the Net
};

struct Value {
  std::string name;  // blob name of the prototxt, or "layer/role" for parameters
  TensorDesc desc;   // layout any until planned
  ValueKind kind = ValueKind::activation;
  int parameter = -1;  // weight, its copy, state, gradient: index into Graph::parameters
  bool stop_gradient =
      false;  // a constant for autodiff: stands for a bottom with propagate_down false
};

// When a node runs. prepare: whenever weights changed. prologue: label counts, over the whole batch before
// its first shard. statistics: once per (micro-)batch, after the shards' statistics were combined.
// build_graph() marks every node `forward`; the plan module moves nodes to the other sections.
enum class Section : uint8_t { prepare, prologue, forward, backward, statistics };

struct Node {
  Op op;
  Pass pass = Pass::forward;
  std::vector<ValueId> in{}, out{};
  std::string layer{};  // name of the layer it came from (for messages and timing)
  Section section = Section::forward;
  // Empty, or for output i the value whose memory it takes over and adds to (kNoValue: overwrites).
  std::vector<ValueId> accumulate_from{};
};

// One blob of a layer, in the file's order (Caffe's blob order inside a layer).
struct Parameter {
  std::string layer;
  int blob = 0;      // index inside the layer
  std::string role;  // "weight", "bias", "gamma", "beta", "mean", "variance", "factor"
  Shape shape;
  FillerParameter filler;
  bool learnable = true;  // false: state
  double lr_mult = 1, decay_mult = 1;
  ValueId value = kNoValue;
  std::string name() const { return layer + "/" + role; }
};

// A top of a data layer: the caller fills it.
struct Input {
  ValueId value = kNoValue;
  int layer = -1;  // index into the NetParameter's layers; -1 for legacy `input:` fields
  int top = 0;     // index among the layer's tops
};

// A loss, a metric, or a blob that no layer reads. (Inputs that no layer reads are not outputs.)
struct Output {
  enum class Kind : uint8_t { blob, loss, metric };
  std::string name;  // top name; the layer's name for a loss without a top
  ValueId value = kNoValue;
  Kind kind = Kind::blob;
  double loss_weight = 0;  // loss only
};

struct Graph {
  std::string name;
  Phase phase = TEST;
  std::vector<Value> values;
  std::vector<Node> nodes;  // topological order
  std::vector<Parameter> parameters;
  std::vector<Input> inputs;
  std::vector<Output> outputs;           // by name, as Caffe numbers them
  ValueId clock = kNoValue;              // {seed, position} f64 (2), if any op draws random numbers
  ValueId loss_scale = kNoValue;         // f64 (1), with math in f16
  std::map<std::string, ValueId> blobs;  // last value of every blob name
  std::vector<std::pair<std::string, ValueId>>
      layer_outputs;  // (layer, value) of every layer's first top

  ValueId add_value(Value v) {
    values.push_back(std::move(v));
    return static_cast<ValueId>(values.size() - 1);
  }
  const Value& value(ValueId id) const { return values[static_cast<size_t>(id)]; }
  Value& value(ValueId id) { return values[static_cast<size_t>(id)]; }
};

struct GraphOptions {
  Phase phase = TEST;
  int level = 0;                      // 0: that of NetParameter.state
  std::vector<std::string> stages{};  // beside those of NetParameter.state
  DType dtype = DType::f32;           // f64 for gradient checks
  // Shapes of the tops of Data layers by top name (with the batch size in front); Input and DummyData
  // layers and legacy inputs state their own, which an entry here overrides. Other names are ignored.
  std::map<std::string, Shape> input_shapes{};
  // "file.prototxt:12" for a layer index, "file.prototxt" for -1; default: the net's name.
  std::function<std::string(int layer)> locate{};
};

// Filters by phase/level/stage, resolves in-place names, checks everything and reports ALL errors in one
// ConfigError, one line each: "file:line: layer 'x': fact; what to do".
Graph build_graph(const NetParameter& net, const GraphOptions& options);

// The layers that take part under these options (include/exclude rules), as indices into net.layer().
std::vector<int> layers_in_phase(const NetParameter& net, const GraphOptions& options);

// Checks that every node reads values written before and that shapes agree with infer(); throws
// InternalError. Used by tests after every pass.
void validate(const Graph& graph);

}  // namespace resnet
