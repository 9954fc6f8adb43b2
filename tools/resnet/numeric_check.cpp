#include "numeric_check.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "flags.h"
#include "resnet/base/error.h"
#include "resnet/base/random.h"
#include "resnet/eval/evaluate.h"

namespace resnet::cli {
namespace {

constexpr uint64_t kSeed = 1;

HostArray random_values(const Shape& shape, uint64_t stream) {
  HostArray array{shape, std::vector<float>(static_cast<size_t>(shape.count()))};
  if (shape.rank() != 4) return array;  // labels
  Random random(kSeed, stream, Use::test);
  for (float& value : array.data) value = static_cast<float>(random.below(256)) - 128.0F;
  return array;
}

// |a - b|, where equal infinities and two NaNs do not differ.
double distance(float a, float b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  const double d = std::abs(static_cast<double>(a) - static_cast<double>(b));
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

}  // namespace

void require_full_precision() {
  if (FLAGS_math == "FLOAT32" && !FLAGS_tf32) return;
  throw ConfigError("this command checks what it wrote in FLOAT32; leave out --math and --tf32");
}

std::vector<std::string> compared_blobs(const NetFile& file) {
  const GraphOptions options = file.graph_options(TEST);
  std::vector<std::string> blobs;
  const auto add = [&](const std::string& blob) {
    if (std::find(blobs.begin(), blobs.end(), blob) == blobs.end()) blobs.push_back(blob);
  };
  std::vector<std::string> tops, read;  // of softmaxes and others; `read`: by any layer
  const std::vector<int> layers = layers_in_phase(file.net, options);
  for (const int i : layers) {
    const LayerParameter& layer = file.net.layer(i);
    for (const std::string& bottom : layer.bottom()) read.push_back(bottom);
    if (layer.type() == "Softmax" && layer.bottom(0) != layer.top(0)) add(layer.bottom(0));
    if (layer.type() == "SoftmaxWithLoss") add(layer.bottom(0));
    if (layer.bottom_size() == 0 || layer.type() == "Accuracy" ||
        layer.type() == "SoftmaxWithLoss") {
      continue;  // inputs, losses and metrics
    }
    for (const std::string& top : layer.top()) tops.push_back(top);
  }
  for (const std::string& top : tops) {
    if (std::find(read.begin(), read.end(), top) == read.end()) add(top);
  }
  if (blobs.empty()) throw ConfigError("the net has no output that could be compared");
  return blobs;
}

Values random_input(Net& net) {
  Values input;
  Session& session = net.session(TEST);
  uint64_t stream = 0;
  for (const std::string& name : net.input_names(session)) {
    input[name] = random_values(net.input(session, name).desc.shape, stream++);
  }
  return input;
}

Values run_net(Net& net, const Values& input, const std::vector<std::string>& blobs) {
  Session& session = net.session(TEST, 0, {}, blobs);
  for (const std::string& name : net.input_names(session)) {
    const Tensor tensor = net.input(session, name);
    const auto found = input.find(name);
    if (found == input.end() || found->second.shape != tensor.desc.shape) {
      throw InternalError("the nets to compare have different inputs: '" + name + "'");
    }
    std::copy(found->second.data.begin(), found->second.data.end(), tensor.as<float>());
  }
  net.forward(session);
  Values values;
  for (const std::string& blob : blobs) values[blob] = net.read(session, blob);
  return values;
}

Values as_torchvision(Values input, const std::array<double, 3>& std, bool rgb) {
  for (auto& [name, array] : input) {
    if (array.shape.rank() != 4 || array.shape[1] != 3) continue;
    const auto plane = static_cast<size_t>(array.shape.count_from(2));
    const std::vector<float> before = array.data;
    for (size_t i = 0; i < array.data.size(); ++i) {
      const size_t image = i / (3 * plane), c = i / plane % 3, pixel = i % plane;
      const float value = before[(3 * image + (rgb ? c : 2 - c)) * plane + pixel];
      array.data[i] = static_cast<float>(value / (255 * std[c]));
    }
  }
  return input;
}

WeightSet weights_of(const NetParameter& net) {
  WeightSet set;
  set.path = "net '" + net.name() + "'";
  for (const LayerParameter& layer : net.layer()) {
    for (int i = 0; i < layer.blobs_size(); ++i) {
      const std::string where = "layer '" + layer.name() + "'";
      set.blobs.push_back({layer.name(), i, blob_shape(layer.blobs(i), where), false,
                           blob_values(layer.blobs(i), where)});
    }
  }
  return set;
}

Difference difference_of(const Values& a, const Values& b) {
  Difference result;
  if (a.size() != b.size()) throw InternalError("the nets to compare have different outputs");
  for (const auto& [name, values] : a) {
    const auto found = b.find(name);
    if (found == b.end() || found->second.shape != values.shape) {
      throw InternalError("the nets to compare have different outputs: '" + name + "'");
    }
    for (size_t i = 0; i < values.data.size(); ++i) {
      const float x = values.data[i], y = found->second.data[i];
      result.largest = std::max(result.largest, distance(x, y));
      for (const float value : {x, y}) {
        if (std::isfinite(value)) {
          result.largest_value =
              std::max(result.largest_value, std::abs(static_cast<double>(value)));
        }
      }
    }
  }
  return result;
}

}  // namespace resnet::cli
