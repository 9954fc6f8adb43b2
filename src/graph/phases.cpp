// Which layers take part in a phase: Caffe's include and exclude rules.
#include "graph/phases.h"

#include <algorithm>

namespace resnet {
namespace {

bool meets(const NetState& state, const NetStateRule& rule) {
  const auto in_state = [&](const std::string& stage) {
    return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
  };
  return (!rule.has_phase() || rule.phase() == state.phase()) &&
         (!rule.has_min_level() || state.level() >= rule.min_level()) &&
         (!rule.has_max_level() || state.level() <= rule.max_level()) &&
         std::all_of(rule.stage().begin(), rule.stage().end(), in_state) &&
         std::none_of(rule.not_stage().begin(), rule.not_stage().end(), in_state);
}

}  // namespace

NetState state_of(const NetParameter& net, const GraphOptions& options) {
  NetState state = net.state();
  state.set_phase(options.phase);
  if (options.level != 0) state.set_level(options.level);
  for (const std::string& stage : options.stages) state.add_stage(stage);
  return state;
}

bool takes_part(const LayerParameter& layer, const NetState& state) {
  const auto met = [&](const NetStateRule& rule) { return meets(state, rule); };
  if (layer.include_size() > 0) {
    return std::any_of(layer.include().begin(), layer.include().end(), met);
  }
  return std::none_of(layer.exclude().begin(), layer.exclude().end(), met);
}

std::vector<int> layers_in_phase(const NetParameter& net, const GraphOptions& options) {
  const NetState state = state_of(net, options);
  std::vector<int> layers;
  for (int i = 0; i < net.layer_size(); ++i) {
    if (takes_part(net.layer(i), state)) layers.push_back(i);
  }
  return layers;
}

}  // namespace resnet
