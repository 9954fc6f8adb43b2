// What one layer sees while it turns itself into ops. Internal to src/graph.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resnet/graph/graph.h"

namespace resnet {

// Appends the layer's values, nodes and parameters to a Graph. Lives as long as the layer's
// build().
class LayerContext : public LayerBuilder {
 public:
  // `index`: the layer's place in the file; `inputs`: the values of its bottoms.
  LayerContext(Graph& graph, const GraphOptions& options, const LayerParameter& layer, int index,
               std::vector<ValueId> inputs);

  const LayerParameter& param() const override { return layer_; }
  Phase phase() const override { return layer_.has_phase() ? layer_.phase() : graph_.phase; }
  int num_inputs() const override { return static_cast<int>(inputs_.size()); }
  int num_outputs() const override { return layer_.top_size(); }
  ValueId input(int i) const override { return inputs_.at(static_cast<size_t>(i)); }
  const TensorDesc& desc(ValueId value) const override { return graph_.value(value).desc; }
  ValueId weight(std::string_view role, const Shape& shape, const FillerParameter& filler) override;
  ValueId state(std::string_view role, const Shape& shape) override;
  std::vector<ValueId> emit(const Op& op, const std::vector<ValueId>& in) override;
  void emit_into(const Op& op, const std::vector<ValueId>& in,
                 const std::vector<ValueId>& out) override;
  void output(int i, ValueId value) override;
  void loss(int i, ValueId value, double loss_weight) override;
  void metric(int i, ValueId value) override;
  ValueId clock() override;
  uint32_t layer_id() const override { return static_cast<uint32_t>(index_); }

  // The value of every top, once the layer is built. Throws InternalError if it left one out.
  std::vector<ValueId> outputs() const;
  // The value of the first top, also of a loss that has no top.
  ValueId first_output() const { return first_output_; }
  int blobs() const { return blobs_; }
  // Whether the layer declared top i to be a loss.
  bool is_loss(int i) const { return i == loss_top_; }

 private:
  ValueId add_parameter(std::string_view role, const Shape& shape, Parameter parameter);
  // A copy of the bottom that autodiff does not look behind (propagate_down: false).
  ValueId stopped(ValueId value);
  void add_output(int i, ValueId value, Output::Kind kind, double loss_weight);

  Graph& graph_;
  const GraphOptions& options_;
  const LayerParameter& layer_;
  int index_;
  std::vector<ValueId> inputs_;
  std::vector<ValueId> outputs_;
  ValueId first_output_ = kNoValue;
  ValueId first_own_value_;  // values from here on are made by this layer
  int blobs_ = 0;
  int loss_top_ = -1;
};

}  // namespace resnet
