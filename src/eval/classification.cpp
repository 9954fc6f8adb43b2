#include "resnet/eval/classification.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>

#include "resnet/base/error.h"
#include "resnet/data/transform.h"

namespace resnet {

const LayerParameter* data_layer(const NetParameter& net, const GraphOptions& options) {
  for (const int i : layers_in_phase(net, options)) {
    if (net.layer(i).type() == "Data") return &net.layer(i);
  }
  return nullptr;
}

std::map<std::string, Shape> shapes_for_images(const NetParameter& net, const GraphOptions& options,
                                               const Shape& image, int64_t batch) {
  std::map<std::string, Shape> shapes;
  for (const int i : layers_in_phase(net, options)) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() != "Data") continue;
    const int64_t images = batch > 0 ? batch : layer.data_param().batch_size();
    if (layer.top_size() > 0) shapes[layer.top(0)] = {images, image[0], image[1], image[2]};
    if (layer.top_size() > 1) shapes[layer.top(1)] = {images};
  }
  return shapes;
}

std::optional<Preprocessing> stated_preprocessing(const NetParameter& net,
                                                  const GraphOptions& options,
                                                  const std::string& base_dir,
                                                  const std::optional<Preprocessing>& stored) {
  if (stored) return stored;
  const LayerParameter* layer = data_layer(net, options);
  if (layer == nullptr) return std::nullopt;
  return Transformer(layer->transform_param(), TEST, base_dir).preprocessing(Shape());
}

Preprocessing scaled_to_input(const NetParameter& net, const GraphOptions& options) {
  const Graph graph = build_graph(net, options);
  for (const Input& input : graph.inputs) {
    const Shape& shape = graph.value(input.value).desc.shape;
    if (shape.rank() != 4) continue;
    Preprocessing out;
    out.set_channel_order(shape[1] == 1 ? Preprocessing::GRAY : Preprocessing::BGR);
    out.set_resize_rule(Preprocessing::EXACT);
    out.set_resize_size(static_cast<uint32_t>(shape[2]));
    return out;
  }
  throw ConfigError("the net has no input for images, of shape (N,C,H,W)");
}

std::vector<double> probabilities_of(std::span<const float> scores, bool are_probabilities) {
  return are_probabilities ? std::vector<double>(scores.begin(), scores.end()) : softmax(scores);
}

std::vector<Guess> best_guesses(std::span<const double> probabilities, int most) {
  std::vector<Guess> guesses;
  for (const double probability : probabilities) {
    guesses.push_back({static_cast<int64_t>(guesses.size()), probability});
  }
  const auto key = [](const Guess& guess) {
    return std::isnan(guess.probability) ? -std::numeric_limits<double>::infinity()
                                         : guess.probability;
  };
  const auto count = std::min(static_cast<size_t>(std::max(most, 0)), guesses.size());
  const auto end = guesses.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(guesses.begin(), end, guesses.end(), [&](const Guess& a, const Guess& b) {
    return key(a) != key(b) ? key(a) > key(b) : a.label < b.label;
  });
  guesses.resize(count);
  return guesses;
}

std::vector<std::string> read_label_names(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw DataError(path + ": cannot be read");
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    names.push_back(line);
  }
  return names;
}

std::string label_name(const std::vector<std::string>& names, int64_t label) {
  const auto index = static_cast<size_t>(label);
  return index < names.size() ? names[index] : "class " + std::to_string(label);
}

}  // namespace resnet
