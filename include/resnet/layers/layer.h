// A layer type turns one `layer { ... }` of a prototxt into ops. Stateless: no memory, no device.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "resnet/ops/op.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet {

using ValueId = int32_t;  // a value of the graph under construction

// What a layer sees of the graph. Implemented by the graph module.
class LayerBuilder {
 public:
  virtual ~LayerBuilder() = default;
  virtual const LayerParameter& param() const = 0;
  virtual Phase phase() const = 0;  // TRAIN or TEST
  virtual int num_inputs() const = 0;
  virtual int num_outputs() const = 0;
  virtual ValueId input(int i) const = 0;                   // bottom i
  virtual const TensorDesc& desc(ValueId value) const = 0;  // shape and type; layout any

  // The layer's next learnable blob, in Caffe's blob order. lr_mult and decay_mult come from the layer's
  // `param` entry of that index. `role` names it: "weight", "bias", "gamma", "beta".
  virtual ValueId weight(std::string_view role, const Shape& shape,
                         const FillerParameter& filler) = 0;
  // The layer's next blob that is state, not learned ("mean", "variance", "factor"), zero at first.
  virtual ValueId state(std::string_view role, const Shape& shape) = 0;

  // Adds an op; returns its outputs with inferred shapes. Throws ConfigError as infer() does.
  virtual std::vector<ValueId> emit(const Op& op, const std::vector<ValueId>& in) = 0;
  // An op whose outputs are existing state values (UpdateStatistics).
  virtual void emit_into(const Op& op, const std::vector<ValueId>& in,
                         const std::vector<ValueId>& out) = 0;

  virtual void output(int i, ValueId value) = 0;  // top i
  // Declares that top i is a training objective / a metric: a (2) tensor of {value, averaging weight}.
  virtual void loss(int i, ValueId value, double loss_weight) = 0;
  virtual void metric(int i, ValueId value) = 0;
  // The {seed, position} input of the run, for ops that draw random numbers.
  virtual ValueId clock() = 0;
  virtual uint32_t layer_id()
      const = 0;  // index of the layer in the file: distinguishes random streams
};

struct Arity {
  int min = 1, max = 1;
};

struct LayerType {
  std::string_view name;  // the `type` string of the prototxt
  Arity inputs, outputs;  // checked by the graph before build
  std::string_view
      doc;  // formula, shapes, differences from Caffe; docs/layers.md is generated from it
  // Throws ConfigError "fact; what to do". Null for layers that bring data into a net (Data, DummyData,
  // Input): the graph hands their tops out as inputs.
  void (*build)(LayerBuilder&);
};

// Every layer type, in alphabetical order (src/layers/builtin.cpp: an explicit list).
std::span<const LayerType> builtin_layers();
// nullptr if unknown.
const LayerType* find_layer(std::string_view name);
bool is_data_layer(std::string_view name);
// The known type nearest to a misspelt one, for error messages; empty when none is near.
std::string nearest_layer(std::string_view name);
// The text of docs/layers.md.
std::string layers_markdown();

}  // namespace resnet
