#include "resnet/eval/weights.h"

#include <map>
#include <set>

#include "resnet/base/error.h"

namespace resnet {
namespace {

std::string list(const std::vector<std::string>& names) {
  constexpr size_t kShown = 4;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kShown; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kShown) text += " and " + std::to_string(names.size() - kShown) + " more";
  return text;
}

std::string part(size_t count, const char* what, const std::vector<std::string>& names) {
  if (count == 0) return "";
  return "; " + std::to_string(count) + " " + what + ": " + list(names);
}

}  // namespace

std::string LoadReport::str() const {
  return std::to_string(matched) + " blobs matched" + part(missing.size(), "missing", missing) +
         part(mismatched.size(), "of another shape", mismatched) +
         part(unused.size(), "layers unused", unused);
}

LoadReport load_weights(Net& net, const WeightSet& weights, bool allow_missing) {
  std::map<std::pair<std::string, int>, const NamedBlob*> blobs;
  for (const NamedBlob& blob : weights.blobs) blobs[{blob.layer, blob.index}] = &blob;

  LoadReport report;
  std::set<std::string> layers;
  std::vector<std::pair<int, const NamedBlob*>> fitting;
  const std::vector<Parameter>& parameters = net.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    layers.insert(parameter.layer);
    const auto found = blobs.find({parameter.layer, parameter.blob});
    if (found == blobs.end()) {
      report.missing.push_back(parameter.name());
    } else if (!shape_fits(*found->second, parameter.shape)) {
      report.mismatched.push_back(parameter.name() + " (file " + found->second->shape.str() +
                                  ", net " + parameter.shape.str() + ")");
    } else {
      fitting.emplace_back(static_cast<int>(i), found->second);
    }
  }
  for (const NamedBlob& blob : weights.blobs) {
    const bool seen = !report.unused.empty() && report.unused.back() == blob.layer;
    if (!seen && layers.count(blob.layer) == 0) report.unused.push_back(blob.layer);
  }
  report.matched = static_cast<int>(fitting.size());

  const bool complete = report.missing.empty() && report.mismatched.empty();
  if (!complete && (!allow_missing || fitting.empty())) {
    throw DataError(
        weights.path + ": does not fit the net: " + report.str() +
        (fitting.empty() ? "; is it the file of another net?" : "; --allow_missing accepts it"));
  }
  for (const auto& [index, blob] : fitting) net.write_parameter(index, blob->data);
  return report;
}

NetParameter with_weights(const Net& net, const std::optional<Preprocessing>& preprocessing) {
  NetParameter out = net.param();
  if (preprocessing) *out.mutable_preprocessing() = *preprocessing;
  std::map<std::string, LayerParameter*> layers;
  for (LayerParameter& layer : *out.mutable_layer()) {
    layer.clear_blobs();
    layers.emplace(layer.name(), &layer);  // of two layers of one name, the first
  }
  const std::vector<Parameter>& parameters = net.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const HostArray value = net.read_parameter(static_cast<int>(i));
    set_blob(layers.at(parameters[i].layer)->add_blobs(), value.shape, value.data);
  }
  return out;
}

}  // namespace resnet
