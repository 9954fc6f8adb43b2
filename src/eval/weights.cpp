#include "resnet/eval/weights.h"

#include <glog/logging.h>

#include <map>
#include <set>

#include "eval/fork_batch_norm.h"
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

std::string LoadReport::details() const {
  std::string text;
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    for (const std::string& name : names) text += (text.empty() ? "" : "\n") + (what + name);
  };
  add("matched: ", matched_names);
  add("missing in the file: ", missing);
  add("of another shape: ", mismatched);
  add("unused: ", unused);
  return text;
}

LoadReport load_weights(Net& net, const WeightSet& weights, bool allow_missing) {
  BlobIndex blobs;
  for (const NamedBlob& blob : weights.blobs) blobs[{blob.layer, blob.index}] = &blob;
  std::deque<NamedBlob> own;
  split_batch_norms(net.param(), weights.path, &blobs, &own);

  LoadReport report;
  std::set<std::string> layers;
  std::set<std::pair<std::string, int>> known;
  std::vector<std::pair<int, const NamedBlob*>> fitting;
  const std::vector<Parameter>& parameters = net.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& parameter = parameters[i];
    layers.insert(parameter.layer);
    known.insert({parameter.layer, parameter.blob});
    const auto found = blobs.find({parameter.layer, parameter.blob});
    if (found == blobs.end()) {
      report.missing.push_back(parameter.name());
    } else if (!shape_fits(*found->second, parameter.shape)) {
      report.mismatched.push_back(parameter.name() + " (file " + found->second->shape.str() +
                                  ", net " + parameter.shape.str() + ")");
    } else {
      report.matched_names.push_back(parameter.name());
      fitting.emplace_back(static_cast<int>(i), found->second);
    }
  }
  for (const auto& [place, blob] : blobs) {
    if (layers.count(place.first) == 0 || known.count(place) > 0) continue;
    report.mismatched.push_back(place.first + "/blob " + std::to_string(place.second) + " (file " +
                                blob->shape.str() + ", net none)");
  }
  for (const NamedBlob& blob : weights.blobs) {
    const bool seen = !report.unused.empty() && report.unused.back() == blob.layer;
    if (!seen && layers.count(blob.layer) == 0) report.unused.push_back(blob.layer);
  }
  report.matched = static_cast<int>(fitting.size());

  VLOG(1) << weights.path << ":\n" << report.details();
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
