#include "resnet/exchange/residual_net.h"

#include <algorithm>
#include <map>
#include <optional>

#include "resnet/base/error.h"

namespace resnet {
namespace {

// What lies between a blob and the last place where ways met: the input, the stem's pooling, an addition.
struct Way {
  int meeting = 0;
  std::vector<int> units;
  int identity_shortcut = -1;
};

int stride_of(const ConvolutionParameter& p) {
  if (p.has_stride_h()) return static_cast<int>(p.stride_h());
  return p.stride_size() > 0 ? static_cast<int>(p.stride(0)) : 1;
}

class Walk {
 public:
  Walk(const NetParameter& net, const GraphOptions& options) : net_(net), options_(options) {}

  ResidualNet run() {
    for (const std::string& input : net_.input()) ways_[input] = Way{};
    for (const int i : layers_in_phase(net_, options_)) visit(i);
    if (net_parts_.blocks.empty()) {
      throw ConfigError("net '" + net_.name() + "' has no residual blocks; " + kWanted);
    }
    for (const ResidualNet::Unit& unit : net_parts_.units) {
      if (unit.scale < 0) {
        fail(unit.convolution, "has no BatchNorm and Scale layer behind it");
      }
    }
    set_stages();
    return std::move(net_parts_);
  }

 private:
  static constexpr const char* kWanted =
      "names of other programs are known for residual nets as `resnet define` writes them";

  const LayerParameter& layer(int i) const { return net_.layer(i); }

  [[noreturn]] void fail(int i, const std::string& fact) const {
    throw ConfigError((options_.locate ? options_.locate(i) + ": " : "") + "layer '" +
                      layer(i).name() + "' (" + layer(i).type() + ") " + fact + "; " + kWanted);
  }

  Way way_to(int i) const {
    const auto found = ways_.find(layer(i).bottom(0));
    if (found == ways_.end()) fail(i, "reads the unknown blob '" + layer(i).bottom(0) + "'");
    return found->second;
  }

  ResidualNet::Unit& last_unit(int i, const Way& way) {
    if (way.units.empty()) fail(i, "does not follow a convolution");
    return net_parts_.units[static_cast<size_t>(way.units.back())];
  }

  void visit(int i) {
    const std::string& type = layer(i).type();
    Way way;  // that of an input
    if (type == "Eltwise") {
      way = add_block(i);
    } else if (layer(i).bottom_size() > 0) {
      way = way_to(i);
      follow(i, type, &way);
    }
    for (const std::string& top : layer(i).top()) ways_[top] = way;
  }

  // A layer with one way through it.
  void follow(int i, const std::string& type, Way* way) {
    if (type == "Convolution") {
      if (layer(i).convolution_param().group() > 1) fail(i, "has groups");
      way->units.push_back(static_cast<int>(net_parts_.units.size()));
      net_parts_.units.push_back({.convolution = i});
    } else if (type == "BatchNorm") {
      ResidualNet::Unit& unit = last_unit(i, *way);
      if (unit.batch_norm >= 0) fail(i, "is the second one behind a convolution");
      unit.batch_norm = i;
    } else if (type == "Scale") {
      ResidualNet::Unit& unit = last_unit(i, *way);
      if (unit.batch_norm < 0 || unit.scale >= 0) fail(i, "does not follow a BatchNorm layer");
      if (!layer(i).scale_param().bias_term()) fail(i, "has no bias_term: true");
      unit.scale = i;
    } else if (type == "Pooling") {
      pool(i, way);
    } else if (type == "IdentityShortcut") {
      if (way->identity_shortcut >= 0) fail(i, "follows another of its kind");
      way->identity_shortcut = i;
    } else if (type == "InnerProduct") {
      if (net_parts_.classifier >= 0) fail(i, "is the second one of its kind");
      if (layer(i).inner_product_param().transpose()) fail(i, "has transpose: true");
      net_parts_.classifier = i;
    } else if (std::find(std::begin(kPassed), std::end(kPassed), type) == std::end(kPassed)) {
      fail(i, "has no counterpart");
    }
  }

  // The stem's pooling is a place where ways meet; the one before the classifier has nothing behind it.
  void pool(int i, Way* way) {
    if (way->units.empty()) return;
    if (way->meeting != 0 || way->units.size() != 1) fail(i, "lies inside a block");
    net_parts_.stem = way->units[0];
    net_parts_.pool = i;
    *way = Way{.meeting = ++meetings_, .units = {}, .identity_shortcut = -1};
  }

  Way add_block(int i) {
    if (layer(i).bottom_size() != 2 ||
        layer(i).eltwise_param().operation() != EltwiseParameter::SUM) {
      fail(i, "does not add two blobs");
    }
    Way a = ways_[layer(i).bottom(0)], b = ways_[layer(i).bottom(1)];
    if (a.meeting != b.meeting) fail(i, "adds blobs that do not come from one");
    if (a.units.size() < b.units.size()) std::swap(a, b);
    drop_stem(i, &a, &b);

    ResidualNet::Block block;
    block.branch = a.units;
    if (block.branch.size() != 2 && block.branch.size() != 3) {
      fail(i, "ends a branch of " + std::to_string(block.branch.size()) +
                  " convolutions; blocks have 2 or 3");
    }
    if (b.units.size() > 1 || a.identity_shortcut >= 0) fail(i, "ends a block of an unknown kind");
    if (!b.units.empty()) block.projection = b.units[0];
    block.identity_shortcut = b.identity_shortcut;
    for (const int unit : block.branch) block.stride *= stride_of(convolution(unit));
    net_parts_.blocks.push_back(block);
    return Way{.meeting = ++meetings_, .units = {}, .identity_shortcut = -1};
  }

  // Without a pooling layer, the ways of the first block both begin with the stem.
  void drop_stem(int i, Way* a, Way* b) {
    if (a->meeting != 0) return;
    if (a->units.empty() || b->units.empty() || a->units[0] != b->units[0]) {
      fail(i, "ends a block that no convolution comes before");
    }
    net_parts_.stem = a->units[0];
    a->units.erase(a->units.begin());
    b->units.erase(b->units.begin());
  }

  const ConvolutionParameter& convolution(int unit) const {
    return layer(net_parts_.units[static_cast<size_t>(unit)].convolution).convolution_param();
  }

  void set_stages() {
    int stage = 1, index = 0;
    std::optional<uint32_t> channels;
    for (ResidualNet::Block& block : net_parts_.blocks) {
      const uint32_t own = convolution(block.branch.back()).num_output();
      if (channels && (block.stride > 1 || own != *channels)) {
        ++stage;
        index = 0;
      }
      channels = own;
      block.stage = stage;
      block.index = index++;
    }
  }

  // Layers without weights that change nothing about the structure.
  static constexpr const char* kPassed[] = {"ReLU",    "Dropout",         "Flatten", "Split",
                                            "Softmax", "SoftmaxWithLoss", "Accuracy"};

  const NetParameter& net_;
  const GraphOptions& options_;
  std::map<std::string, Way> ways_;
  ResidualNet net_parts_;
  int meetings_ = 0;
};

}  // namespace

bool ResidualNet::appends_zeros() const {
  return std::any_of(blocks.begin(), blocks.end(),
                     [](const Block& block) { return block.identity_shortcut >= 0; });
}

ResidualNet residual_net(const NetParameter& net, const GraphOptions& options) {
  return Walk(net, options).run();
}

}  // namespace resnet
