#include "graph/builder.h"

#include <algorithm>
#include <set>
#include <utility>

#include "graph/checks.h"
#include "graph/input_shapes.h"
#include "graph/layer_context.h"
#include "graph/phases.h"
#include "resnet/base/error.h"
#include "resnet/base/nearest.h"

namespace resnet {

GraphBuilder::GraphBuilder(const NetParameter& net, const GraphOptions& options)
    : net_(net), options_(options), state_(state_of(net, options)) {
  graph_.name = net.name();
  graph_.phase = options.phase;
}

Graph GraphBuilder::build() {
  add_legacy_inputs();
  const std::vector<int> layers = layers_in_phase(net_, options_);
  if (layers.empty()) {
    report(-1, "no layer takes part in phase " + Phase_Name(state_.phase()) +
                   "; check the include and exclude rules");
  }
  for (const int index : layers) add_layer(index);
  if (!errors_.empty()) {
    std::string text;
    for (const std::string& error : errors_) text += (text.empty() ? "" : "\n") + error;
    throw ConfigError(text);
  }
  collect_outputs();
  for (const auto& [name, blob] : blobs_) graph_.blobs[name] = blob.value;
  return std::move(graph_);
}

std::string GraphBuilder::where(int layer) const {
  if (options_.locate) return options_.locate(layer);
  return net_.name().empty() ? "net" : net_.name();
}

void GraphBuilder::report(int layer, const std::string& message) {
  std::string line = where(layer) + ": ";
  if (layer >= 0) {
    const std::string& name = net_.layer(layer).name();
    line += "layer " + (name.empty() ? "#" + std::to_string(layer + 1) : quoted(name)) + ": ";
  }
  errors_.push_back(line + message);
}

ValueId GraphBuilder::add_input(const std::string& blob, const Shape* stated, int layer, int top) {
  const auto chosen = options_.input_shapes.find(blob);
  const Shape* shape = chosen == options_.input_shapes.end() ? stated : &chosen->second;
  require(shape != nullptr, "the shape of " + quoted(blob) + " is not known");
  const std::vector<int64_t> dims = shape->dims();
  require(std::all_of(dims.begin(), dims.end(), [](int64_t d) { return d >= 1; }),
          quoted(blob) + " has the shape " + shape->str() + "; every dimension must be at least 1");
  check_size(*shape);
  Value value;
  value.name = blob;
  value.desc = {*shape, options_.dtype, Layout::any()};
  value.kind = ValueKind::input;
  graph_.inputs.push_back({graph_.add_value(std::move(value)), layer, top});
  return graph_.inputs.back().value;
}

bool GraphBuilder::all_chosen(const google::protobuf::RepeatedPtrField<std::string>& blobs) const {
  return std::all_of(blobs.begin(), blobs.end(), [&](const std::string& blob) {
    return options_.input_shapes.count(blob) > 0;
  });
}

void GraphBuilder::add_legacy_inputs() {
  std::vector<Shape> stated;
  try {
    if (net_.input_size() == 0 || !all_chosen(net_.input())) stated = legacy_shapes(net_);
  } catch (const ConfigError& e) {
    report(-1, e.what());
    for (const std::string& name : net_.input()) blobs_[name];  // poisoned
    return;
  }
  for (int i = 0; i < net_.input_size(); ++i) {
    const std::string& name = net_.input(i);
    try {
      require(blobs_.count(name) == 0, "input " + quoted(name) + " is declared twice; remove one");
      Blob& blob = blobs_[name];
      blob.value =
          add_input(name, stated.empty() ? nullptr : &stated[static_cast<size_t>(i)], -1, i);
    } catch (const ConfigError& e) {
      report(-1, e.what());
    }
  }
}

void GraphBuilder::add_layer(int index) {
  const LayerParameter& layer = net_.layer(index);
  // Every check runs, so that one mistake does not hide another.
  std::vector<std::string> problems = check_layer(layer);
  check_names(index, problems);
  std::vector<ValueId> bottoms = resolve_bottoms(index, problems);
  std::vector<ValueId> tops(static_cast<size_t>(layer.top_size()), kNoValue);
  const bool poisoned = std::count(bottoms.begin(), bottoms.end(), kNoValue) > 0;
  if (problems.empty() && !poisoned) {
    try {
      tops = make_tops(index, std::move(bottoms));
    } catch (const ConfigError& e) {
      problems.push_back(e.what());
    }
  }
  bind_tops(index, tops, problems);
  for (const std::string& problem : problems) report(index, problem);
}

std::vector<ValueId> GraphBuilder::make_tops(int index, std::vector<ValueId> bottoms) {
  const LayerParameter& layer = net_.layer(index);
  const LayerType* type = find_layer(layer.type());
  if (type->build == nullptr) return make_input_tops(index);

  LayerContext context(graph_, options_, layer, index, std::move(bottoms));
  type->build(context);
  require(layer.param_size() <= context.blobs(),
          "has " + std::to_string(layer.param_size()) + " param entries for " +
              std::to_string(context.blobs()) + " blobs; remove the surplus");
  for (int i = 0; i < layer.loss_weight_size(); ++i) {
    require(layer.loss_weight(i) == 0 || context.is_loss(i),
            "has a loss_weight for a top that is no loss; remove it");
  }
  if (context.first_output() != kNoValue) {
    graph_.layer_outputs.emplace_back(layer.name(), context.first_output());
  }
  return context.outputs();
}

std::vector<ValueId> GraphBuilder::make_input_tops(int index) {
  const LayerParameter& layer = net_.layer(index);
  std::vector<Shape> stated;
  if (!all_chosen(layer.top())) stated = stated_shapes(layer);
  std::vector<ValueId> tops;
  for (int i = 0; i < layer.top_size(); ++i) {
    const Shape* shape = stated.empty() ? nullptr : &stated[static_cast<size_t>(i)];
    tops.push_back(add_input(layer.top(i), shape, index, i));
  }
  graph_.layer_outputs.emplace_back(layer.name(), tops[0]);
  return tops;
}

void GraphBuilder::check_names(int index, std::vector<std::string>& problems) {
  const LayerParameter& layer = net_.layer(index);
  const auto [other, is_new] = layer_names_.emplace(layer.name(), index);
  if (!is_new && !layer.name().empty()) {
    problems.push_back("the layer at " + where(other->second) + " has the same name; change one");
  }
  for (const ParamSpec& spec : layer.param()) {
    if (spec.name().empty()) continue;
    const auto [owner, first] = shared_names_.emplace(spec.name(), index);
    if (first) continue;
    problems.push_back("shares the blob " + quoted(spec.name()) + " (param name) with layer " +
                       quoted(net_.layer(owner->second).name()) +
                       "; sharing is not supported, remove the param name");
  }
}

std::vector<ValueId> GraphBuilder::resolve_bottoms(int index, std::vector<std::string>& problems) {
  std::vector<ValueId> values;
  for (const std::string& bottom : net_.layer(index).bottom()) {
    const auto blob = blobs_.find(bottom);
    if (blob == blobs_.end()) {
      problems.push_back("bottom " + quoted(bottom) + " " + explain_missing(index, bottom));
      continue;
    }
    blob->second.read = true;
    values.push_back(blob->second.value);
  }
  return values;
}

std::string GraphBuilder::explain_missing(int index, const std::string& bottom) const {
  for (int i = 0; i < net_.layer_size(); ++i) {
    const LayerParameter& layer = net_.layer(i);
    const bool writes = std::count(layer.top().begin(), layer.top().end(), bottom) > 0;
    if (i == index || !writes) continue;
    const std::string maker = "layer " + quoted(layer.name()) + " at " + where(i);
    if (!takes_part(layer, state_)) {
      return "comes from " + maker + ", which takes no part in phase " +
             Phase_Name(state_.phase()) + "; check its include and exclude rules";
    }
    return "comes from the later " + maker + "; move that layer up";
  }
  std::vector<std::string> names;
  for (const auto& [name, blob] : blobs_) names.push_back(name);
  return "is not the top of any layer" +
         suggestion(bottom, names, "; name a top of a layer above or an input");
}

void GraphBuilder::bind_tops(int index, const std::vector<ValueId>& values,
                             std::vector<std::string>& problems) {
  const LayerParameter& layer = net_.layer(index);
  for (int i = 0; i < layer.top_size(); ++i) {
    const std::string& top = layer.top(i);
    const auto old = blobs_.find(top);
    const bool in_place = std::count(layer.bottom().begin(), layer.bottom().end(), top) > 0;
    if (old != blobs_.end() && (!in_place || old->second.layer == index)) {
      const int writer = old->second.layer;
      problems.push_back(
          "top " + quoted(top) + " is already written by " +
          (writer < 0 ? "the net's inputs"
                      : "layer " + quoted(net_.layer(writer).name()) + " at " + where(writer)) +
          "; give it another name");
    }
    blobs_[top] = {values[static_cast<size_t>(i)], index, false};
  }
}

void GraphBuilder::collect_outputs() {
  std::set<ValueId> named;  // losses, metrics
  for (const Output& output : graph_.outputs) named.insert(output.value);
  for (const auto& [name, blob] : blobs_) {
    const bool input = graph_.value(blob.value).kind == ValueKind::input;
    if (blob.read || input || named.count(blob.value) > 0) continue;
    graph_.outputs.push_back({name, blob.value, Output::Kind::blob, 0});
  }
  std::stable_sort(graph_.outputs.begin(), graph_.outputs.end(),
                   [](const Output& a, const Output& b) { return a.name < b.name; });
}

Graph build_graph(const NetParameter& net, const GraphOptions& options) {
  return GraphBuilder(net, options).build();
}

}  // namespace resnet
