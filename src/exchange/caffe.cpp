#include "resnet/exchange/caffe.h"

#include <algorithm>
#include <limits>
#include <map>

#include "exchange/own_fields.h"
#include "resnet/base/error.h"
#include "resnet/exchange/model_file.h"
#include "resnet/graph/graph.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/files.h"
#include "resnet/io/prototxt.h"

namespace resnet {
namespace {

constexpr const char* kShortcut = "IdentityShortcut";

bool has_data_set(const NetParameter& net) {
  return std::any_of(net.layer().begin(), net.layer().end(),
                     [](const LayerParameter& layer) { return layer.type() == "Data"; });
}

bool has_blobs(const NetParameter& net) {
  return std::any_of(net.layer().begin(), net.layer().end(),
                     [](const LayerParameter& layer) { return layer.blobs_size() > 0; });
}

NetParameter without_blobs(NetParameter net) {
  for (LayerParameter& layer : *net.mutable_layer()) layer.clear_blobs();
  return net;
}

Graph graph_of(const NetParameter& net, Phase phase, const Shape& given) {
  const Shape image = given.rank() == 3 ? given : image_shape_of(net);
  GraphOptions options;
  options.phase = phase;
  for (const int i : layers_in_phase(net, options)) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() != "Data") continue;
    if (image.rank() != 3) {
      throw ConfigError("layer '" + layer.name() + "': it is not known how large its images are");
    }
    options.input_shapes[layer.top(0)] = {1, image[0], image[1], image[2]};
    if (layer.top_size() > 1) options.input_shapes[layer.top(1)] = {1};
  }
  return build_graph(net, options);
}

// Channels of the blobs that IdentityShortcut layers read, by layer.
class ShortcutInputs {
 public:
  ShortcutInputs(const NetParameter& net, const Shape& image) {
    for (const Phase phase : {TEST, TRAIN}) {
      GraphOptions options;
      options.phase = phase;
      const std::vector<int> layers = layers_in_phase(net, options);
      const bool needed = std::any_of(layers.begin(), layers.end(), [&](int i) {
        return net.layer(i).type() == kShortcut && channels_.count(net.layer(i).name()) == 0;
      });
      if (!needed) continue;
      const Graph graph = graph_of(net, phase, image);
      for (const int i : layers) {
        const LayerParameter& layer = net.layer(i);
        if (layer.type() != kShortcut) continue;
        channels_[layer.name()] = graph.value(graph.blobs.at(layer.bottom(0))).desc.shape[1];
      }
    }
  }

  int64_t channels(const std::string& layer) const { return channels_.at(layer); }

 private:
  std::map<std::string, int64_t> channels_;
};

Shape weight_shape(const LayerParameter& shortcut, int64_t channels) {
  const IdentityShortcutParameter& p = shortcut.identity_shortcut_param();
  return {p.has_num_output() ? p.num_output() : channels, channels, 1, 1};
}

// Channel o of the output is channel o of the input, if there is one.
void make_convolution(int64_t channels, bool with_weights, LayerParameter* layer) {
  const Shape shape = weight_shape(*layer, channels);
  const uint32_t stride = layer->identity_shortcut_param().stride();
  layer->clear_identity_shortcut_param();
  layer->set_type("Convolution");
  ConvolutionParameter& p = *layer->mutable_convolution_param();
  p.set_num_output(static_cast<uint32_t>(shape[0]));
  p.set_bias_term(false);
  p.add_kernel_size(1);
  p.add_stride(stride);
  layer->clear_param();
  ParamSpec* fixed = layer->add_param();
  fixed->set_lr_mult(0);
  fixed->set_decay_mult(0);
  layer->clear_blobs();
  if (!with_weights) return;
  std::vector<float> weights(static_cast<size_t>(shape.count()));
  for (int64_t c = 0; c < std::min(shape[0], channels); ++c) {
    weights[static_cast<size_t>(c * channels + c)] = 1;
  }
  set_blob(layer->add_blobs(), shape, weights);
}

[[noreturn]] void refuse(const std::vector<std::string>& reasons) {
  std::string text;
  for (const std::string& reason : reasons) text += (text.empty() ? "" : "\n") + reason;
  throw ConfigError(text);
}

std::string policy_reason(const SolverParameter& solver) {
  return "solver: lr_policy \"" + solver.lr_policy() +
         "\" is none of Caffe's; write the rates that it gave as \"multistep\"";
}

}  // namespace

NetParameter to_caffe(const NetParameter& net, const Shape& image) {
  NetParameter out = net;
  out.clear_file_header();
  out.clear_file_checksum();
  out.clear_preprocessing();
  out.clear_training();
  const bool trains = has_data_set(net), with_weights = has_blobs(net);
  std::vector<std::string> reasons;
  std::vector<LayerParameter*> shortcuts;
  for (LayerParameter& layer : *out.mutable_layer()) {
    const IdentityShortcutParameter shortcut = layer.identity_shortcut_param();
    layer.clear_identity_shortcut_param();
    if (!trains && layer.has_batch_norm_param()) {
      layer.mutable_batch_norm_param()->clear_group_size();
    }
    // Without it, Caffe would look for a LevelDB.
    if (layer.type() == "Data" && !layer.data_param().has_backend()) {
      layer.mutable_data_param()->set_backend(DataParameter::LMDB);
    }
    drop_own_fields("layer '" + layer.name() + "': ", &layer, &reasons);
    if (layer.type() != kShortcut) continue;
    *layer.mutable_identity_shortcut_param() = shortcut;
    shortcuts.push_back(&layer);
  }
  if (!reasons.empty()) refuse(reasons);
  if (shortcuts.empty()) return out;
  const ShortcutInputs inputs(without_blobs(net), image.rank() == 3 ? image : image_shape_of(net));
  for (LayerParameter* layer : shortcuts) {
    make_convolution(inputs.channels(layer->name()), with_weights, layer);
  }
  return out;
}

SolverParameter to_caffe(const SolverParameter& solver) {
  SolverParameter out = solver;
  std::vector<std::string> reasons;
  out.clear_window();
  out.clear_keep_snapshots();
  out.clear_keep_best();
  if (out.lr_policy() == "plateau" || out.lr_policy() == "cosine") {
    reasons.push_back(policy_reason(out));
    out.clear_plateau_window();  // said with the policy
    out.clear_plateau_patience();
    out.clear_plateau_threshold();
    out.clear_plateau_on();
    out.clear_min_lr();
  }
  if (out.test_interval() > 0 && out.test_iter_size() == 0) {
    reasons.emplace_back(
        "solver: Caffe needs test_iter where there is a test; write how many batches the set has");
  }
  drop_own_fields("solver: ", &out, &reasons);
  if (!reasons.empty()) refuse(reasons);
  return out;
}

SolverState to_caffe(const SolverState& state, const NetParameter& net,
                     const std::string& learned_net, const Shape& image) {
  const NetParameter bare = without_blobs(net);
  const Shape size = image.rank() == 3 ? image : image_shape_of(net);
  const Graph graph = graph_of(bare, TRAIN, size);
  if (state.history_size() < static_cast<int>(graph.parameters.size())) {
    throw DataError("the state has " + std::to_string(state.history_size()) +
                    " momentum blobs, but the net has " + std::to_string(graph.parameters.size()) +
                    " parameters; give the net that it was made with");
  }
  std::map<std::string, std::vector<int>> by_layer;  // numbers of a layer's parameters
  for (size_t i = 0; i < graph.parameters.size(); ++i) {
    by_layer[graph.parameters[i].layer].push_back(static_cast<int>(i));
  }
  const ShortcutInputs inputs(bare, size);
  SolverState out;
  out.set_iter(state.iter());
  out.set_learned_net(learned_net);
  out.set_current_step(state.current_step());
  GraphOptions options;
  options.phase = TRAIN;
  for (const int i : layers_in_phase(bare, options)) {
    const LayerParameter& layer = bare.layer(i);
    if (layer.type() == kShortcut) {
      const Shape shape = weight_shape(layer, inputs.channels(layer.name()));
      set_blob(out.add_history(), shape, std::vector<float>(static_cast<size_t>(shape.count())));
      continue;
    }
    for (const int number : by_layer[layer.name()]) {
      const Parameter& parameter = graph.parameters[static_cast<size_t>(number)];
      const std::vector<float> momentum = blob_values(state.history(number), parameter.name());
      if (static_cast<int64_t>(momentum.size()) != parameter.shape.count()) {
        throw DataError("the momentum of " + parameter.name() + " has " +
                        std::to_string(momentum.size()) + " values, the net needs " +
                        std::to_string(parameter.shape.count()) +
                        "; give the net that it was made with");
      }
      set_blob(out.add_history(), parameter.shape, momentum);
    }
  }
  return out;
}

std::string caffe_prototxt(const NetParameter& net) { return format_prototxt(without_blobs(net)); }

void write_caffe(const std::string& path, const google::protobuf::Message& message) {
  if (message.ByteSizeLong() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    throw DataError(path + ": cannot write: more than protobuf can read back (2 GiB)");
  }
  write_file_atomic(path, {message.SerializeAsString()});
}

}  // namespace resnet
