#include "import_net.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>

#include "cifar_nets.h"
#include "cli.h"
#include "imagenet_nets.h"
#include "resnet/base/error.h"

DECLARE_string(family);
DECLARE_int32(depth);

namespace resnet::cli {
namespace {

constexpr int kMostBlocks = 1000;  // of a stage

struct Found {
  std::map<int, int> blocks;  // of each stage, from 1
  bool bottleneck = false, projections = false;
  int classes = 0;  // 0: the file has no classifier
};

// Takes "12." from the front of the text; -1 if there is no such number.
int take_number(std::string_view* text) {
  int number = -1;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  const auto length = static_cast<size_t>(end - text->data());
  if (error != std::errc() || length == text->size() || *end != '.' || number < 0) return -1;
  text->remove_prefix(length + 1);
  return number;
}

Found read_names(const TensorFile& file) {
  constexpr std::string_view kLayer = "layer";
  Found found;
  for (const NamedTensor& tensor : file.tensors) {
    std::string_view name = tensor.name;
    for (const std::string_view classifier : {"fc.weight", "linear.weight"}) {
      if (name.ends_with(classifier) && tensor.shape.rank() == 2 && tensor.shape[0] <= INT32_MAX) {
        found.classes = static_cast<int>(tensor.shape[0]);
      }
    }
    const size_t at = name.find(kLayer);
    if (at == std::string_view::npos || (at > 0 && name[at - 1] != '.')) continue;
    name.remove_prefix(at + kLayer.size());
    const int stage = take_number(&name), block = take_number(&name);
    if (stage < 1 || block < 0 || block >= kMostBlocks) continue;
    int& blocks = found.blocks[stage];
    blocks = std::max(blocks, block + 1);
    found.bottleneck |= name == "conv3.weight";
    found.projections |= name.starts_with("downsample.") || name.starts_with("shortcut.");
  }
  return found;
}

// Throws unless a flag that is given says what the file says.
template <class Value>
void agree(const char* flag, const Value& wanted, const Value& found, const std::string& text,
           const TensorFile& file) {
  if (!given(flag) || wanted == found) return;
  throw ConfigError("--" + std::string(flag) + ": the names in " + file.path + " are those of " +
                    text + "; leave it out");
}

ImportedNet imagenet(const Found& found, const TensorFile& file) {
  ImageNetNet net;
  net.stages.clear();
  for (const auto& [stage, blocks] : found.blocks) net.stages.push_back(blocks);
  net.block = found.bottleneck ? ResidualBlock::Type::bottleneck : ResidualBlock::Type::basic;
  net.shortcut = found.projections ? Shortcut::b : Shortcut::a;
  net.stride_in_3x3 = found.bottleneck;
  net.pad_pool1 = true;
  if (found.classes > 0) net.classes = found.classes;
  agree("family", FLAGS_family, std::string("imagenet"), "a net for ImageNet, of four stages",
        file);
  agree("depth", FLAGS_depth, depth(net), "a net of " + std::to_string(depth(net)) + " layers",
        file);
  check(net);
  return {file_name(net), deploy_text(net)};
}

ImportedNet cifar(const Found& found, const TensorFile& file) {
  const int blocks = found.blocks.at(1);
  if (found.bottleneck || found.blocks.at(2) != blocks || found.blocks.at(3) != blocks) {
    throw ConfigError(
        file.path +
        ": nets for CIFAR have equally many blocks of two convolutions in each stage, "
        "this one has not; give its prototxt by --model");
  }
  CifarNet net;
  net.depth = 6 * blocks + 2;
  net.shortcut = found.projections ? Shortcut::b : Shortcut::a;
  if (found.classes > 0) net.classes = found.classes;
  agree("family", FLAGS_family, std::string("cifar"), "a net for CIFAR, of three stages", file);
  agree("depth", FLAGS_depth, net.depth, "a net of " + std::to_string(net.depth) + " layers", file);
  check(net);
  return {file_name(net), deploy_text(net)};
}

}  // namespace

ImportedNet net_of_names(const TensorFile& file) {
  const Found found = read_names(file);
  const auto stages = static_cast<int>(found.blocks.size());
  const bool numbered = stages > 0 && found.blocks.rbegin()->first == stages;
  if (numbered && stages == 4) return imagenet(found, file);
  if (numbered && stages == 3) return cifar(found, file);
  throw ConfigError(file.path +
                    ": its names are not those of a residual net of three or four stages "
                    "(layer1.0.conv1.weight, ..); give its prototxt by --model");
}

}  // namespace resnet::cli
