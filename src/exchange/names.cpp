#include "resnet/exchange/names.h"

#include <cmath>
#include <cstdint>
#include <numeric>

#include "resnet/base/error.h"

namespace resnet {
namespace {

using Order = std::vector<int>;  // empty: as it is

// Blobs of a BatchNorm layer.
constexpr int kMean = 0, kVariance = 1;

class Pairs {
 public:
  Pairs(const NetParameter& net, const ResidualNet& parts, const NameStyle& style)
      : net_(net), parts_(parts), style_(style) {}

  std::vector<NamePair> run() {
    add_unit(parts_.stem, "conv1", "bn1", {}, {});
    Order order;  // of the channels between blocks
    for (const ResidualNet::Block& block : parts_.blocks) order = add_block(block, order);
    if (parts_.classifier >= 0) {
      const LayerParameter& layer = net_.layer(parts_.classifier);
      pairs_.push_back({style_.classifier + ".weight", parts_.classifier, 0, {}, order});
      if (layer.inner_product_param().bias_term()) {
        pairs_.push_back({style_.classifier + ".bias", parts_.classifier, 1, {}, {}});
      }
    }
    return std::move(pairs_);
  }

 private:
  int channels_of(int unit) const {
    const int layer = parts_.units[static_cast<size_t>(unit)].convolution;
    return static_cast<int>(net_.layer(layer).convolution_param().num_output());
  }

  void add_unit(int number, const std::string& convolution, const std::string& batch_norm,
                const Order& rows, const Order& columns) {
    const ResidualNet::Unit& unit = parts_.units[static_cast<size_t>(number)];
    pairs_.push_back({convolution + ".weight", unit.convolution, 0, rows, columns});
    pairs_.push_back({batch_norm + ".weight", unit.scale, 0, rows, {}});
    pairs_.push_back({batch_norm + ".bias", unit.scale, 1, rows, {}});
    pairs_.push_back({batch_norm + ".running_mean", unit.batch_norm, kMean, rows, {}});
    pairs_.push_back({batch_norm + ".running_var", unit.batch_norm, kVariance, rows, {}});
  }

  // Returns the order of the channels behind the block.
  Order add_block(const ResidualNet::Block& block, const Order& before) {
    const std::string prefix =
        "layer" + std::to_string(block.stage) + "." + std::to_string(block.index) + ".";
    Order after = order_behind(block, before);
    const int last = static_cast<int>(block.branch.size());
    const std::string convolution = prefix + "conv", batch_norm = prefix + "bn";
    for (int i = 1; i <= last; ++i) {
      const std::string number = std::to_string(i);
      const int unit = block.branch[static_cast<size_t>(i - 1)];
      std::string names[] = {convolution, batch_norm};
      for (std::string& name : names) name += number;
      add_unit(unit, names[0], names[1], i == last ? after : Order(), i == 1 ? before : Order());
    }
    if (block.projection >= 0) {
      const std::string projection = prefix + style_.projection;
      add_unit(block.projection, projection + ".0", projection + ".1", after, before);
    }
    return after;
  }

  Order order_behind(const ResidualNet::Block& block, Order before) {
    if (block.projection >= 0) return {};
    if (block.identity_shortcut < 0 || !style_.zeros_around) return before;
    const int all = channels_of(block.branch.back());
    const int appended = all - channels_before(block);
    if (before.empty()) {
      before.resize(static_cast<size_t>(all - appended));
      std::iota(before.begin(), before.end(), 0);
    }
    const int front = appended / 2;
    for (int& channel : before) channel += front;
    for (int i = 0; i < front; ++i) before.push_back(i);
    for (int i = front + all - appended; i < all; ++i) before.push_back(i);
    return before;
  }

  int channels_before(const ResidualNet::Block& block) const {
    const auto index = static_cast<size_t>(&block - parts_.blocks.data());
    return channels_of(index == 0 ? parts_.stem : parts_.blocks[index - 1].branch.back());
  }

  const NetParameter& net_;
  const ResidualNet& parts_;
  const NameStyle& style_;
  std::vector<NamePair> pairs_;
};

// A size that a prototxt gives as one value or as height and width.
bool is_square(uint32_t both, bool has_h, uint32_t h, bool has_w, uint32_t w, uint32_t wanted) {
  return (has_h ? h : both) == wanted && (has_w ? w : both) == wanted;
}

bool pools_as_torchvision(const PoolingParameter& p) {
  return p.pool() == PoolingParameter::MAX && p.round_mode() == PoolingParameter::FLOOR &&
         is_square(p.kernel_size(), p.has_kernel_h(), p.kernel_h(), p.has_kernel_w(), p.kernel_w(),
                   3) &&
         is_square(p.stride(), p.has_stride_h(), p.stride_h(), p.has_stride_w(), p.stride_w(), 2) &&
         is_square(p.pad(), p.has_pad_h(), p.pad_h(), p.has_pad_w(), p.pad_w(), 1);
}

bool has_stride(const LayerParameter& convolution) {
  const ConvolutionParameter& p = convolution.convolution_param();
  return p.stride_h() > 1 || (p.stride_size() > 0 && p.stride(0) > 1);
}

}  // namespace

NameStyle torchvision_names() { return {}; }

NameStyle cifar_names() {
  return {.projection = "shortcut", .classifier = "linear", .zeros_around = true};
}

std::vector<NamePair> name_pairs(const NetParameter& net, const ResidualNet& parts,
                                 const NameStyle& style) {
  return Pairs(net, parts, style).run();
}

std::string role_of(const LayerParameter& layer, int blob) {
  static const std::vector<std::string> batch_norm = {"mean", "variance", "factor"},
                                        scale = {"gamma", "beta"}, other = {"weight", "bias"};
  const auto& roles = layer.type() == "BatchNorm" ? batch_norm
                      : layer.type() == "Scale"   ? scale
                                                  : other;
  const auto index = static_cast<size_t>(blob);
  return index < roles.size() ? roles[index] : "blob" + std::to_string(blob);
}

std::vector<NamePair> own_names(const NetParameter& net) {
  std::vector<NamePair> pairs;
  for (int i = 0; i < net.layer_size(); ++i) {
    for (int blob = 0; blob < net.layer(i).blobs_size(); ++blob) {
      pairs.push_back({net.layer(i).name() + "/" + role_of(net.layer(i), blob), i, blob, {}, {}});
    }
  }
  return pairs;
}

std::vector<std::string> differences_from_torchvision(const NetParameter& net,
                                                      const ResidualNet& parts) {
  constexpr float kEps = 1e-5F;
  std::vector<std::string> lines;
  for (const ResidualNet::Unit& unit : parts.units) {
    const LayerParameter& layer = net.layer(unit.batch_norm);
    const float eps = layer.batch_norm_param().eps();
    if (std::abs(eps - kEps) <= 1e-3F * kEps) continue;
    lines.push_back("layer '" + layer.name() + "' has eps " + std::to_string(eps) +
                    ", torchvision's nets have 1e-5");
    break;  // one of its kind is enough
  }
  if (parts.pool >= 0 && !pools_as_torchvision(net.layer(parts.pool).pooling_param())) {
    lines.push_back("layer '" + net.layer(parts.pool).name() +
                    "' pools other windows than torchvision's (pooling_param { pool: MAX "
                    "kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR })");
  }
  for (const ResidualNet::Block& block : parts.blocks) {
    if (block.branch.size() != 3) continue;
    const ResidualNet::Unit& first = parts.units[static_cast<size_t>(block.branch[0])];
    if (!has_stride(net.layer(first.convolution))) continue;
    lines.push_back("layer '" + net.layer(first.convolution).name() +
                    "' has the stride of its block; torchvision's nets have it in the 3x3 "
                    "convolution (resnet define --stride_in=3x3)");
    break;
  }
  return lines;
}

}  // namespace resnet
