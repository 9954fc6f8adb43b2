// The deploy nets that He et al. published (github.com/KaimingHe/deep-residual-networks), written anew in
// their form, and weights for them from an integer hash; tools/dev/published_torch.py computes the same.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "resnet/io/caffemodel.h"
#include "train/integer_hash.h"

namespace resnet::testing {

class PublishedNet {
 public:
  explicit PublishedNet(int depth) : depth_(depth) { write(); }

  const std::string& text() const { return text_; }
  const WeightSet& weights() const { return weights_; }

  // One image (1,3,224,224): squares of 16x16 pixels.
  static std::vector<float> image() {
    std::vector<float> pixels;
    for (uint32_t c = 0; c < 3; ++c) {
      for (uint32_t y = 0; y < 224; ++y) {
        for (uint32_t x = 0; x < 224; ++x) {
          const uint32_t level = draw(903, c * 196 + y / 16 * 14 + x / 16) % 256;
          pixels.push_back((static_cast<float>(level) - 120) / 64);
        }
      }
    }
    return pixels;
  }

 private:
  void write() {
    text_ = "name: \"ResNet-" + std::to_string(depth_) + "\"\ninput: \"data\"\n";
    for (const int dim : {1, 3, 224, 224}) text_ += "input_dim: " + std::to_string(dim) + "\n";
    convolution("conv1", "conv1", "data", 3, 64, 7, 2, depth_ == 50, 1);
    relu("conv1");
    layer({"conv1"}, "pool1", "pool1", "Pooling",
          "pooling_param {\n\t\tkernel_size: 3\n\t\tstride: 2\n\t\tpool: MAX\n\t}");
    const std::vector<int> stages = depth_ == 50    ? std::vector{3, 4, 6, 3}
                                    : depth_ == 101 ? std::vector{3, 4, 23, 3}
                                                    : std::vector{3, 8, 36, 3};
    std::string blob = "pool1";
    int channels = 64;
    for (int stage = 0; stage < 4; ++stage) {
      for (int k = 0; k < stages[static_cast<size_t>(stage)]; ++k) {
        blob = block(std::to_string(stage + 2) + block_name(k, stages[static_cast<size_t>(stage)]),
                     blob, channels, 64 << stage, k == 0 && stage > 0 ? 2 : 1);
        channels = 256 << stage;
      }
    }
    layer({blob}, "pool5", "pool5", "Pooling",
          "pooling_param {\n\t\tkernel_size: 7\n\t\tstride: 1\n\t\tpool: AVE\n\t}");
    layer({"pool5"}, "fc1000", "fc1000", "InnerProduct",
          "inner_product_param {\n\t\tnum_output: 1000\n\t}");
    add("fc1000", 0, {1000, 2048}, 900, 0, std::sqrt(6.0 / 2048));
    add("fc1000", 1, {1000}, 901, 0, 0.3);
    layer({"fc1000"}, "prob", "prob", "Softmax", "");
  }

  std::string block_name(int k, int blocks) const {
    if (k == 0) return "a";
    const bool numbered = depth_ != 50 && blocks > 3;
    return numbered ? "b" + std::to_string(k) : std::string(1, static_cast<char>('a' + k));
  }

  std::string block(const std::string& name, const std::string& bottom, int from, int filters,
                    int stride) {
    const std::string res = "res" + name;
    std::string shortcut = bottom;
    if (from != 4 * filters) {
      shortcut = res + "_branch1";
      convolution(shortcut, name + "_branch1", bottom, from, 4 * filters, 1, stride, false, 1);
    }
    const std::string a = res + "_branch2a", b = res + "_branch2b", c = res + "_branch2c";
    convolution(a, name + "_branch2a", bottom, from, filters, 1, stride, false, 1);
    relu(a);
    convolution(b, name + "_branch2b", a, filters, filters, 3, 1, false, 1);
    relu(b);
    convolution(c, name + "_branch2c", b, filters, 4 * filters, 1, 1, false, 0.2);
    layer({shortcut, c}, res, res, "Eltwise", "");
    relu(res);
    return res;
  }

  // With BatchNorm and Scale in place. `gain` scales gamma and beta.
  void convolution(const std::string& name, const std::string& suffix, const std::string& bottom,
                   int from, int to, int kernel, int stride, bool bias, double gain) {
    const auto field = [](const char* key, int value) {
      return "\t\t" + std::string(key) + ": " + std::to_string(value) + "\n";
    };
    layer({bottom}, name, name, "Convolution",
          "convolution_param {\n" + field("num_output", to) + field("kernel_size", kernel) +
              field("pad", kernel / 2) + field("stride", stride) +
              (bias ? "" : "\t\tbias_term: false\n") + "\t}");
    const std::string norm = (name == "conv1" ? "bn_" : "bn") + suffix,
                      scale = (name == "conv1" ? "scale_" : "scale") + suffix;
    layer({name}, name, norm, "BatchNorm", "batch_norm_param {\n\t\tuse_global_stats: true\n\t}");
    layer({name}, name, scale, "Scale", "scale_param {\n\t\tbias_term: true\n\t}");

    const uint32_t k = convolutions_++;
    add(name, 0, {to, from, kernel, kernel}, k, 0, std::sqrt(6.0 / (from * kernel * kernel)));
    if (bias) add(name, 1, {to}, 902, 0, 0.3);
    const float factor = k % 2 == 0 ? 1.0F : 2.0F;
    add(norm, 0, {to}, 1000 + k, 0, 0.2, factor);
    add(norm, 1, {to}, 2000 + k, 1, 0.5, factor);
    weights_.blobs.push_back({norm, 2, Shape{1}, false, {factor}});
    add(scale, 0, {to}, 3000 + k, gain, 0.3 * gain);
    add(scale, 1, {to}, 4000 + k, 0, 0.2 * gain);
  }

  void relu(const std::string& blob) { layer({blob}, blob, blob + "_relu", "ReLU", ""); }

  void layer(const std::vector<std::string>& bottoms, const std::string& top,
             const std::string& name, const std::string& type, const std::string& param) {
    text_ += "\nlayer {\n";
    for (const std::string& bottom : bottoms) text_ += "\tbottom: \"" + bottom + "\"\n";
    text_ += "\ttop: \"" + top + "\"\n\tname: \"" + name + "\"\n\ttype: \"" + type + "\"\n";
    text_ += (param.empty() ? "" : "\t" + param + "\n") + "}\n";
  }

  // Value i is offset + range * unit(stream, i) in float32, times `factor`.
  void add(const std::string& layer, int index, const Shape& shape, uint32_t stream, double offset,
           double range, float factor = 1) {
    NamedBlob blob{layer, index, shape, false, {}};
    blob.data.reserve(static_cast<size_t>(shape.count()));
    for (uint32_t i = 0; i < static_cast<uint32_t>(shape.count()); ++i) {
      blob.data.push_back(factor * static_cast<float>(offset + range * unit(stream, i)));
    }
    weights_.blobs.push_back(std::move(blob));
  }

  int depth_;
  std::string text_;
  WeightSet weights_;
  uint32_t convolutions_ = 0;
};

}  // namespace resnet::testing
