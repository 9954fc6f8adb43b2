#include "resnet/eval/feed.h"

#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>

#include "resnet/base/error.h"

namespace resnet {
namespace {

// Copies n floats to the first elements of an input of type f32 or f64.
void copy_to(const Tensor& input, std::span<const float> values) {
  if (static_cast<int64_t>(values.size()) != input.desc.count()) {
    throw InternalError("an input of shape " + input.desc.shape.str() + " is fed " +
                        std::to_string(values.size()) + " values");
  }
  if (input.desc.dtype == DType::f64) {
    std::copy(values.begin(), values.end(), input.as<double>());
  } else {
    std::copy(values.begin(), values.end(), input.as<float>());
  }
}

struct LabelRule {
  int64_t classes = 0;
  bool has_ignore = false;
  int64_t ignore_label = 0;
};

// The rule of a loss that reads `label` (metrics accept any label).
LabelRule label_rule(const Graph& graph, ValueId label) {
  for (const Node& node : graph.nodes) {
    const auto* loss = std::get_if<SoftmaxLoss>(&node.op);
    if (loss == nullptr || node.pass != Pass::forward || node.in.size() < 2) continue;
    if (node.in[1] != label) continue;
    const Shape& scores = graph.value(node.in[0]).desc.shape;
    return {scores[loss->axis], loss->has_ignore, loss->ignore_label};
  }
  return {};
}

}  // namespace

Feed::Feed(const NetParameter& net, const FeedOptions& options)
    : phase_(options.phase), seed_(options.seed) {
  GraphOptions state;
  state.phase = options.phase;
  state.level = options.level;
  state.stages = options.stages;
  for (const int index : layers_in_phase(net, state)) {
    LayerParameter layer = net.layer(index);
    if (layer.type() != "Data" && layer.type() != "DummyData") continue;
    if (options.batch > 0 && layer.type() == "Data") {
      layer.mutable_data_param()->set_batch_size(static_cast<uint32_t>(options.batch));
    }
    LoaderOptions loading;
    loading.phase = options.phase;
    loading.seed = options.seed;
    loading.loader_threads = options.loader_threads;
    loading.skip_bad = options.skip_bad;
    loading.time_stages = options.time_stages;
    Layer source;
    source.name = layer.name();
    source.data = layer.top_size() > 0 ? layer.top(0) : "";
    source.label = layer.top_size() > 1 ? layer.top(1) : "";
    source.loader = open_loader(layer, loading, options.base_dir);
    if (options.pixels) open_pixels(source);
    layers_.push_back(std::move(source));
  }
  check_agreement();
}

Feed::Feed(std::unique_ptr<Loader> loader, const std::string& data, const std::string& label)
    : phase_(loader->options().phase), seed_(loader->options().seed) {
  Layer layer;
  layer.name = data;
  layer.data = data;
  layer.label = label;
  layer.loader = std::move(loader);
  open_pixels(layer);
  layers_.push_back(std::move(layer));
}

void Feed::check_agreement() const {
  for (const Layer& layer : layers_) {
    const Layer& first = layers_.front();
    const auto compare = [&](const char* what, int64_t a, int64_t b) {
      if (a == b) return;
      throw ConfigError("layers '" + first.name + "' and '" + layer.name + "' have " +
                        std::to_string(a) + " and " + std::to_string(b) + " " + what +
                        "; make them equal");
    };
    compare("images a batch", batch(), layer.loader->options().batch);
    if (phase_ == TEST) compare("records to test", records(), layer.loader->size());
  }
}

std::map<std::string, Shape> Feed::shapes() const {
  std::map<std::string, Shape> shapes;
  for (const Layer& layer : layers_) {
    shapes[layer.data] = layer.loader->batch_shape();
    if (!layer.label.empty()) shapes[layer.label] = Shape{layer.loader->options().batch};
  }
  return shapes;
}

int64_t Feed::batch() const { return empty() ? 0 : layers_.front().loader->options().batch; }
int64_t Feed::records() const { return empty() ? 0 : layers_.front().loader->size(); }
int64_t Feed::position() const { return empty() ? 0 : layers_.front().loader->position(); }

int64_t Feed::next_count() const {
  if (phase_ == TRAIN) return batch();
  return std::clamp<int64_t>(records() - position(), 0, batch());
}

void Feed::seek(int64_t position) {
  for (Layer& layer : layers_) layer.loader->seek(position);
}

void Feed::check_labels(const Graph& graph) {
  for (Layer& layer : layers_) {
    for (const Input& input : graph.inputs) {
      if (layer.label.empty() || graph.value(input.value).name != layer.label) continue;
      const LabelRule rule = label_rule(graph, input.value);
      layer.classes = rule.classes;
      layer.has_ignore = rule.has_ignore;
      layer.ignore_label = rule.ignore_label;
    }
  }
}

int64_t Feed::fill(Net& net, Session& session) {
  last_position_ = position();
  last_count_ = next_count();
  const std::vector<std::string> inputs = net.input_names(session);
  const auto reads = [&](const std::string& name) {
    return std::find(inputs.begin(), inputs.end(), name) != inputs.end();
  };
  bool first = true;
  for (Layer& layer : layers_) {
    std::vector<float> labels(static_cast<size_t>(last_count_));
    const bool data = reads(layer.data);
    if (!data || !fill_pixels(net, session, layer, labels.data())) {
      fill_floats(net, session, layer, data, labels.data());
    }
    check_batch_labels(layer, labels);
    if (!layer.label.empty() && reads(layer.label)) {
      copy_to(net.input(session, layer.label), labels);
    }
    if (first) labels_ = std::move(labels);
    first = false;
  }
  net.set_clock(session, seed_, last_position_);
  return last_count_;
}

void Feed::open_pixels(Layer& layer) {
  if (layer.loader->record_shape().rank() != 3) {
    layer.way = "floats: the records are no images";
  } else {
    layer.rule = std::make_shared<const PixelRule>(layer.loader->pixel_rule());
  }
}

// Where the layer's pixels go, if the device takes them.
Net::PixelInput Feed::pixel_input(Net& net, Session& session, Layer& layer) {
  const bool device = net.backend().memory() == MemoryKind::device;
  Net::PixelInput input;
  std::string way = device ? layer.way : "floats";
  if (device && layer.rule != nullptr) {
    std::string reason;
    input = net.input_pixels(session, layer.data, layer.rule, &reason);
    way = reason.empty() ? "8-bit pixels, normalised on the device" : "floats: " + reason;
  }
  if (way != layer.way || !layer.way_is_logged)
    VLOG(1) << "data layer '" << layer.name << "': " << way;
  layer.way = way;
  layer.way_is_logged = true;
  return input;
}

std::vector<std::string> Feed::ways(Net& net, Session& session) {
  const std::vector<std::string> inputs = net.input_names(session);
  std::vector<std::string> all;
  for (Layer& layer : layers_) {
    if (std::find(inputs.begin(), inputs.end(), layer.data) != inputs.end()) {
      pixel_input(net, session, layer);
    }
    all.push_back(layer.way);
  }
  return all;
}

// False, with the position as it was, where the layer's images do not go to the device as pixels.
bool Feed::fill_pixels(Net& net, Session& session, Layer& layer, float* labels) const {
  const Net::PixelInput input = pixel_input(net, session, layer);
  if (input.levels.data == nullptr) return false;
  check_count(input.levels.desc.shape);
  try {
    layer.loader->next(input.levels.as<uint8_t>(), input.places.as<float>(), labels);
  } catch (const NotPixels& e) {  // in one record; all later batches are treated alike
    layer.rule = nullptr;
    layer.way = std::string("floats: ") + e.what();
    layer.way_is_logged = false;
    layer.loader->seek(layer.loader->position());
    return false;
  }
  return true;
}

void Feed::fill_floats(Net& net, Session& session, Layer& layer, bool data, float* labels) const {
  if (!data) {
    layer.loader->next(static_cast<float*>(nullptr), labels);
    return;
  }
  const Tensor input = net.input(session, layer.data);
  check_count(input.desc.shape);
  std::vector<float> staged;
  if (input.desc.dtype != DType::f32) staged.resize(static_cast<size_t>(input.desc.count()));
  layer.loader->next(staged.empty() ? input.as<float>() : staged.data(), labels);
  if (!staged.empty()) copy_to(input, staged);
}

void Feed::check_count(const Shape& input) const {
  if (input[0] == last_count_) return;
  throw InternalError("a session for " + input.str() + " is fed " + std::to_string(last_count_) +
                      " images");
}

bool Feed::knows_label(const Layer& layer, float label) {
  const auto value = std::llround(label);
  return layer.classes == 0 || (value >= 0 && value < layer.classes) ||
         (layer.has_ignore && value == layer.ignore_label);
}

void Feed::refuse_label(const Layer& layer, float label, const std::string& key) {
  throw record_error(layer.loader->source().name(), key,
                     "label " + std::to_string(std::llround(label)) + " is outside [0," +
                         std::to_string(layer.classes) +
                         "), the classes of the net; correct the label or num_output");
}

void Feed::check_batch_labels(const Layer& layer, const std::vector<float>& labels) const {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (knows_label(layer, labels[i])) continue;
    const int64_t position = last_position_ + static_cast<int64_t>(i);
    refuse_label(layer, labels[i], layer.loader->record_keys(position, 1).front());
  }
}

std::optional<HeldData> Feed::hold(int64_t most_bytes) const {
  if (phase_ != TRAIN || layers_.size() != 1) return std::nullopt;
  const Layer& layer = layers_.front();
  std::optional<HeldSet> set = resnet::hold(*layer.loader, most_bytes);
  if (!set || batch() > set->images[0]) return std::nullopt;
  for (size_t i = 0; i < set->labels.size(); ++i) {
    if (knows_label(layer, set->labels[i])) continue;
    refuse_label(layer, set->labels[i], layer.loader->source().key(static_cast<int64_t>(i)));
  }
  const CropRule& rule = set->rule;
  return HeldData{.rule = {.batch = batch(),
                           .height = rule.height,
                           .width = rule.width,
                           .pad = rule.pad,
                           .mirror = rule.mirror,
                           .mean_of_window = rule.mean_of_window,
                           .scale = rule.scale},
                  .images = set->images,
                  .pixels = std::move(set->pixels),
                  .labels = std::move(set->labels),
                  .mean_shape = rule.mean_shape,
                  .mean = rule.mean,
                  .data = layer.data,
                  .label = layer.label,
                  .order = [loader = layer.loader.get()](int64_t epoch) {
                    return order_of_epoch(*loader, epoch);
                  }};
}

std::vector<std::string> Feed::last_keys() const {
  std::vector<std::string> keys;
  for (const Layer& layer : layers_) {
    for (std::string& key : layer.loader->record_keys(last_position_, last_count_)) {
      keys.push_back(std::move(key));
    }
  }
  return keys;
}

std::vector<DataPosition> Feed::positions() const {
  std::vector<DataPosition> positions;
  for (const Layer& layer : layers_) {
    DataPosition position;
    position.set_layer(layer.name);
    position.set_position(static_cast<uint64_t>(layer.loader->position()));
    position.set_records(static_cast<uint64_t>(layer.loader->size()));
    for (const int64_t record : layer.loader->bad_records()) {
      position.add_bad_record(static_cast<uint64_t>(record));
    }
    positions.push_back(position);
  }
  return positions;
}

void Feed::restore(const std::vector<DataPosition>& positions) {
  for (Layer& layer : layers_) {
    const auto saved = std::find_if(positions.begin(), positions.end(),
                                    [&](const DataPosition& p) { return p.layer() == layer.name; });
    if (saved == positions.end()) {
      throw DataError("the snapshot has no position for the data layer '" + layer.name +
                      "'; resume with the net that it was made with");
    }
    if (static_cast<int64_t>(saved->records()) != layer.loader->size()) {
      throw DataError("layer '" + layer.name + "': " + layer.loader->source().name() + " has " +
                      std::to_string(layer.loader->size()) +
                      " records, but the snapshot was made with " +
                      std::to_string(saved->records()) + "; resume with the same data");
    }
    layer.loader->seek(static_cast<int64_t>(saved->position()));
    layer.loader->set_bad_records({saved->bad_record().begin(), saved->bad_record().end()});
  }
}

double Feed::wait_seconds() const {
  double sum = 0;
  for (const Layer& layer : layers_) sum += layer.loader->wait_seconds();
  return sum;
}

Preprocessing Feed::preprocessing() const {
  return empty() ? Preprocessing() : layers_.front().loader->preprocessing();
}

}  // namespace resnet
