#include "resnet/eval/scoring_net.h"

#include <algorithm>
#include <map>
#include <set>

#include "resnet/base/error.h"
#include "resnet/eval/evaluate.h"

namespace resnet {
namespace {

[[noreturn]] void refuse(const LayerParameter& layer, const std::string& fact) {
  throw ConfigError("layer '" + layer.name() + "': " + fact);
}

// Layers of the phase that `blob` depends on, in order; in-place layers after its last producer too.
std::vector<int> ancestors(const NetParameter& net, const std::vector<int>& layers,
                           const std::string& blob) {
  std::set<std::string> needed = {blob};
  std::vector<int> kept;
  for (auto i = layers.rbegin(); i != layers.rend(); ++i) {
    const LayerParameter& layer = net.layer(*i);
    if (std::none_of(layer.top().begin(), layer.top().end(),
                     [&](const std::string& top) { return needed.count(top) > 0; })) {
      continue;
    }
    needed.insert(layer.bottom().begin(), layer.bottom().end());
    kept.push_back(*i);
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

const LayerParameter* softmax_with_top(const NetParameter& net, const std::vector<int>& layers,
                                       const std::string& blob) {
  for (const int i : layers) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() == "Softmax" && layer.top_size() > 0 && layer.top(0) == blob) return &layer;
  }
  return nullptr;
}

bool is_source(const LayerParameter& layer) {
  return layer.type() == "Data" || layer.type() == "DummyData" || layer.type() == "Input";
}

LayerParameter input_layer(const std::string& blob, const Shape& image) {
  LayerParameter layer;
  layer.set_name(blob);
  layer.set_type("Input");
  layer.add_top(blob);
  BlobShape* shape = layer.mutable_input_param()->add_shape();
  shape->add_dim(1);
  for (const int64_t dim : image.dims()) shape->add_dim(dim);
  return layer;
}

// The first input of four dimensions that a net states itself, with its name.
std::pair<std::string, Shape> stated_input(const NetParameter& net, const GraphOptions& options) {
  const Graph graph = build_graph(net, options);
  for (const Input& input : graph.inputs) {
    const Value& value = graph.value(input.value);
    const Shape& shape = value.desc.shape;
    if (shape.rank() == 4) return {value.name, {shape[1], shape[2], shape[3]}};
  }
  throw ConfigError("the net has no input for images, of shape (N,C,H,W)");
}

// Shapes of all blobs for one image of the training size.
std::map<std::string, Shape> blob_shapes(const NetParameter& net) {
  GraphOptions options;
  options.phase = TEST;
  const Graph graph = build_graph(net, options);
  std::map<std::string, Shape> shapes;
  for (const auto& [name, value] : graph.blobs) shapes[name] = graph.value(value).desc.shape;
  return shapes;
}

// Rewrites a ScoringNet layer by layer.
class Convolver {
 public:
  explicit Convolver(ScoringNet* out) : out_(out), shapes_(blob_shapes(out->net)) {
    shapes_[out->input] = {1, out->image[0], out->image[1], out->image[2]};
  }

  void run() {
    NetParameter dense = out_->net;
    dense.clear_layer();
    for (LayerParameter layer : out_->net.layer()) {
      for (std::string& bottom : *layer.mutable_bottom()) bottom = current(bottom);
      if (layer.type() == "Flatten") {
        if (shape(layer.bottom(0)).rank() != 4 || layer.flatten_param().axis() != 1) {
          refuse(layer, "only the flattening of (N,C,H,W) to (N,K) can be applied densely");
        }
        renamed_[layer.top(0)] = layer.bottom(0);
        continue;
      }
      for (const std::string& top : layer.top()) renamed_.erase(top);
      if (layer.type() == "Pooling") to_window(layer);
      if (layer.type() == "InnerProduct") {
        to_convolution(layer);
      } else if (layer.bottom_size() > 0) {
        keep_windows(layer);
      }
      *dense.add_layer() = layer;
    }
    out_->net = dense;
    out_->scores = current(out_->scores);
  }

 private:
  std::string current(const std::string& blob) const {
    const auto found = renamed_.find(blob);
    return found == renamed_.end() ? blob : found->second;
  }

  const Shape& shape(const std::string& blob) const { return shapes_.at(blob); }

  // Height and width of a blob in the dense net on one image of the training size.
  std::pair<int64_t, int64_t> window(const std::string& blob) const {
    const Shape& s = shape(blob);
    if (s.rank() == 4) return {s[2], s[3]};
    const auto flat = flat_windows_.find(blob);
    return flat == flat_windows_.end() ? std::pair<int64_t, int64_t>{1, 1} : flat->second;
  }

  // A layer that works on single values of what a Flatten layer gave it.
  void keep_windows(const LayerParameter& layer) {
    for (const std::string& top : layer.top()) {
      if (shape(top).rank() != 4) flat_windows_[top] = window(layer.bottom(0));
    }
  }

  void to_convolution(LayerParameter& layer) {
    const InnerProductParameter from = layer.inner_product_param();
    if (from.transpose()) refuse(layer, "transpose: true cannot be applied densely");
    if (from.axis() != 1 && from.axis() != -3) {
      refuse(layer, "axis " + std::to_string(from.axis()) + " cannot be applied densely; use 1");
    }
    const auto [height, width] = window(layer.bottom(0));
    ConvolutionParameter to;
    to.set_num_output(from.num_output());
    to.set_bias_term(from.bias_term());
    to.set_kernel_h(static_cast<uint32_t>(height));
    to.set_kernel_w(static_cast<uint32_t>(width));
    layer.clear_inner_product_param();
    layer.set_type("Convolution");
    *layer.mutable_convolution_param() = to;
    out_->converted.push_back(layer.name());
  }

  void to_window(LayerParameter& layer) const {
    PoolingParameter& pool = *layer.mutable_pooling_param();
    const auto [height, width] = window(layer.bottom(0));
    const bool to_one = window(layer.top(0)) == std::pair<int64_t, int64_t>(1, 1);
    if (!pool.global_pooling() && !to_one) return;
    const PoolingParameter::PoolMethod method = pool.pool();
    pool.Clear();
    pool.set_pool(method);
    pool.set_kernel_h(static_cast<uint32_t>(height));
    pool.set_kernel_w(static_cast<uint32_t>(width));
    pool.set_stride(1);
  }

  ScoringNet* out_;
  std::map<std::string, Shape> shapes_;
  std::map<std::string, std::string> renamed_;  // tops of layers that are gone
  std::map<std::string, std::pair<int64_t, int64_t>> flat_windows_;
};

}  // namespace

ScoringNet scoring_net(const NetParameter& net, const GraphOptions& options, const Shape& image,
                       ScoreKind kind) {
  const std::vector<int> layers = layers_in_phase(net, options);
  ScoringNet out;
  out.net.set_name(net.name());
  out.scores = score_blob(net, options);
  const LayerParameter* softmax = softmax_with_top(net, layers, out.scores);
  if (softmax != nullptr && kind == ScoreKind::logits) out.scores = softmax->bottom(0);

  std::set<std::string> inputs;  // blobs that a source fills
  std::vector<LayerParameter> kept;
  for (const int i : ancestors(net, layers, out.scores)) {
    LayerParameter layer = net.layer(i);
    if (is_source(layer)) {
      inputs.insert(layer.top(0));
      continue;
    }
    layer.clear_include();
    layer.clear_exclude();
    kept.push_back(std::move(layer));
  }
  inputs.insert(net.input().begin(), net.input().end());
  if (inputs.size() != 1) {
    throw ConfigError("the scores '" + out.scores + "' depend on " + std::to_string(inputs.size()) +
                      " inputs; a test needs one, the images");
  }
  out.input = *inputs.begin();
  out.image = image.rank() == 3 ? image : stated_input(net, options).second;
  *out.net.add_layer() = input_layer(out.input, out.image);
  for (const LayerParameter& layer : kept) *out.net.add_layer() = layer;
  if (softmax == nullptr && kind == ScoreKind::probabilities) {
    LayerParameter* last = out.net.add_layer();
    last->set_name("scores of " + out.scores);
    last->set_type("Softmax");
    last->add_bottom(out.scores);
    out.scores = last->name();
    last->add_top(out.scores);
  }
  return out;
}

ScoringNet dense_net(const NetParameter& net, const GraphOptions& options, const Shape& image,
                     ScoreKind kind) {
  ScoringNet out = scoring_net(net, options, image, kind);
  Convolver(&out).run();
  return out;
}

void adapt_weights(const ScoringNet& net, WeightSet* weights) {
  if (net.converted.empty()) return;
  GraphOptions options;
  options.phase = TEST;
  const Graph graph = build_graph(net.net, options);
  std::map<std::string, Shape> wanted;
  for (const Parameter& parameter : graph.parameters) {
    if (parameter.blob == 0) wanted[parameter.layer] = parameter.shape;
  }
  for (NamedBlob& blob : weights->blobs) {
    const bool converted =
        std::find(net.converted.begin(), net.converted.end(), blob.layer) != net.converted.end();
    if (blob.index != 0 || !converted) continue;
    const Shape& shape = wanted.at(blob.layer);
    const bool same_outputs = blob.legacy_shape || blob.shape[0] == shape[0];
    if (same_outputs && blob.shape.count() == shape.count()) {
      blob.shape = shape;
      blob.legacy_shape = false;
    }
  }
}

}  // namespace resnet
