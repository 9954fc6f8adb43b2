#include "resnet/io/caffemodel.h"

#include <algorithm>
#include <set>

#include "io/foreign.h"
#include "io/sealed_file.h"
#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

template <class Layer>
void add_layer(const Layer& layer, WeightSet* set, std::set<std::string>* names) {
  if (layer.blobs_size() == 0) return;
  if (!names->insert(layer.name()).second) {
    set->notes.push_back(set->path + ": two layers are called '" + layer.name() +
                         "': the weights of the last one are used");
    std::erase_if(set->blobs, [&](const NamedBlob& b) { return b.layer == layer.name(); });
  }
  for (int i = 0; i < layer.blobs_size(); ++i) {
    const BlobProto& proto = layer.blobs(i);
    const std::string where =
        set->path + ": layer '" + layer.name() + "', blob " + std::to_string(i);
    set->blobs.push_back(
        {layer.name(), i, blob_shape(proto, where), !proto.has_shape(), blob_values(proto, where)});
  }
}

}  // namespace

WeightSet parse_caffemodel(std::string_view bytes, const std::string& path) {
  const std::string kind = "weight file (.caffemodel)";
  WeightFile file;
  WeightSet set;
  set.path = path;
  const auto refuse_state = [&] {
    if (!looks_like_solver_state(bytes)) return;
    throw DataError(path +
                    ": this is a solver state: give the .caffemodel beside it, or use it with "
                    "--snapshot");
  };
  try {
    set.ours = parse_sealed(path, bytes, kind, &file);
  } catch (const DataError&) {
    if (intact(bytes)) refuse_state();
    throw;
  }
  if (file.layer_size() + file.layers_size() == 0) {
    refuse_state();
    throw DataError(path + ": not a " + kind + ": it has no layers");
  }
  set.net_name = file.name();
  if (file.has_preprocessing()) set.preprocessing = file.preprocessing();
  if (file.has_training()) set.training = file.training();
  if (set.ours) {
    set.run_id = file.file_header().run_id();
    set.checksum = file.file_checksum();
  } else {
    set.notes.push_back(path + ": written by another program (no checksum to verify)");
  }
  std::set<std::string> names;
  for (const WeightLayer& layer : file.layer()) add_layer(layer, &set, &names);
  for (const V1LayerParameter& layer : file.layers()) add_layer(layer, &set, &names);
  if (set.blobs.empty()) throw DataError(path + ": none of its layers has weights");
  return set;
}

WeightSet read_caffemodel(const std::string& path) {
  return parse_caffemodel(read_file(path), path);
}

uint64_t write_caffemodel(const std::string& path, const NetParameter& net, uint64_t run_id) {
  if (net.has_file_header() || net.has_file_checksum()) {
    NetParameter bare = net;
    bare.clear_file_header();
    bare.clear_file_checksum();
    return write_sealed(path, bare, run_id, "model");
  }
  return write_sealed(path, net, run_id, "model");
}

}  // namespace resnet
