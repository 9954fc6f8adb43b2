#include "exchange/torch_net.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "resnet/base/random.h"

namespace resnet::test {
namespace {

struct Planes {
  int channels = 0, size = 0;  // (channels, size, size)
  std::vector<double> values{};
  size_t pixels() const { return static_cast<size_t>(size) * static_cast<size_t>(size); }
  double at(int c, int y, int x) const {
    if (y < 0 || x < 0 || y >= size || x >= size) return 0;
    const int64_t row = int64_t{c} * size + y;
    return values[static_cast<size_t>(row * size + x)];
  }
};

class Runner {
 public:
  Runner(const TorchNet& net, const TensorFile& weights) : net_(net), weights_(weights) {}

  std::vector<double> scores(Planes x) const {
    x = relu(batch_norm(convolution(x, "conv1", net_.stem == 7 ? 2 : 1), "bn1"));
    if (net_.stem == 7) x = max_pool(x);
    for (size_t stage = 0; stage < net_.stages.size(); ++stage) {
      for (int i = 0; i < net_.stages[stage]; ++i) {
        x = block(x, "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".",
                  stage > 0 && i == 0 ? 2 : 1);
      }
    }
    return linear(x);
  }

 private:
  const NamedTensor& tensor(const std::string& name) const {
    const NamedTensor* const found = weights_.find(name);
    if (found == nullptr) throw std::runtime_error("no " + name);
    return *found;
  }

  Planes convolution(const Planes& in, const std::string& name, int stride) const {
    const NamedTensor& w = tensor(name + ".weight");
    const int kernel = static_cast<int>(w.shape[2]), pad = kernel / 2;
    Planes out{static_cast<int>(w.shape[0]), (in.size + 2 * pad - kernel) / stride + 1, {}};
    for (int k = 0; k < out.channels; ++k) {
      for (int y = 0; y < out.size; ++y) {
        for (int x = 0; x < out.size; ++x) {
          double sum = 0;
          auto i = static_cast<size_t>(w.shape.count_from(1) * k);
          for (int c = 0; c < in.channels; ++c) {
            for (int dy = 0; dy < kernel; ++dy) {
              for (int dx = 0; dx < kernel; ++dx) {
                sum += w.data[i++] * in.at(c, y * stride + dy - pad, x * stride + dx - pad);
              }
            }
          }
          out.values.push_back(sum);
        }
      }
    }
    return out;
  }

  Planes batch_norm(Planes x, const std::string& name) const {
    const auto& gamma = tensor(name + ".weight").data;
    const auto& beta = tensor(name + ".bias").data;
    const auto& mean = tensor(name + ".running_mean").data;
    const auto& variance = tensor(name + ".running_var").data;
    for (size_t i = 0; i < x.values.size(); ++i) {
      const size_t c = i / x.pixels();
      x.values[i] = (x.values[i] - mean[c]) / std::sqrt(variance[c] + 1e-5) * gamma[c] + beta[c];
    }
    return x;
  }

  static Planes relu(Planes x) {
    for (double& value : x.values) value = std::max(value, 0.0);
    return x;
  }

  static Planes max_pool(const Planes& in) {  // of values that are not negative
    Planes out{in.channels, (in.size + 2 - 3) / 2 + 1, {}};
    for (int c = 0; c < out.channels; ++c) {
      for (int y = 0; y < out.size; ++y) {
        for (int x = 0; x < out.size; ++x) {
          double most = 0;
          for (int k = 0; k < 9; ++k) {
            most = std::max(most, in.at(c, 2 * y - 1 + k / 3, 2 * x - 1 + k % 3));
          }
          out.values.push_back(most);
        }
      }
    }
    return out;
  }

  // x[:, ::stride, ::stride] between zero channels.
  static Planes padded(const Planes& in, int channels, int stride) {
    Planes out{channels, (in.size + stride - 1) / stride, {}};
    const int front = (channels - in.channels) / 2;
    for (int c = 0; c < channels; ++c) {
      const int from = c - front;
      for (int y = 0; y < out.size; ++y) {
        for (int x = 0; x < out.size; ++x) {
          const bool inside = from >= 0 && from < in.channels;
          out.values.push_back(inside ? in.at(from, y * stride, x * stride) : 0);
        }
      }
    }
    return out;
  }

  Planes block(const Planes& in, const std::string& prefix, int stride) const {
    const int last = net_.bottleneck ? 3 : 2, strided = net_.bottleneck ? 2 : 1;
    Planes x = in;
    for (int i = 1; i <= last; ++i) {
      std::string conv = prefix + "conv", bn = prefix + "bn";
      for (std::string* name : {&conv, &bn}) *name += std::to_string(i);
      x = batch_norm(convolution(x, conv, i == strided ? stride : 1), bn);
      if (i < last) x = relu(x);
    }
    const std::string projection = prefix + net_.projection;
    Planes around = in;
    if (weights_.find(projection + ".0.weight") != nullptr) {
      around = batch_norm(convolution(in, projection + ".0", stride), projection + ".1");
    } else if (x.channels != in.channels) {
      around = padded(in, x.channels, stride);
    }
    for (size_t i = 0; i < x.values.size(); ++i) x.values[i] += around.values[i];
    return relu(x);
  }

  std::vector<double> linear(const Planes& x) const {
    const NamedTensor& w = tensor(net_.classifier + ".weight");
    const size_t pixels = x.pixels(), inputs = static_cast<size_t>(x.channels);
    std::vector<double> scores;
    for (const float bias : tensor(net_.classifier + ".bias").data) {
      double sum = bias;
      for (size_t i = 0; i < x.values.size(); ++i) {
        sum +=
            w.data[scores.size() * inputs + i / pixels] * x.values[i] / static_cast<double>(pixels);
      }
      scores.push_back(sum);
    }
    return scores;
  }

  const TorchNet& net_;
  const TensorFile& weights_;
};

class Maker {
 public:
  Maker(const TorchNet& net, uint64_t seed) : net_(net), seed_(seed) {}

  TensorFile run() {
    unit("conv1", "bn1", net_.width, 3, net_.stem);
    int channels = net_.width;
    for (size_t stage = 0; stage < net_.stages.size(); ++stage) {
      const int inner = net_.width << stage, outer = net_.bottleneck ? 4 * inner : inner;
      for (int i = 0; i < net_.stages[stage]; ++i) {
        const std::string prefix =
            "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".";
        if (net_.bottleneck) {
          unit(prefix + "conv1", prefix + "bn1", inner, channels, 1);
          unit(prefix + "conv2", prefix + "bn2", inner, inner, 3);
          unit(prefix + "conv3", prefix + "bn3", outer, inner, 1);
        } else {
          unit(prefix + "conv1", prefix + "bn1", inner, channels, 3);
          unit(prefix + "conv2", prefix + "bn2", outer, inner, 3);
        }
        const std::string projection = prefix + net_.projection;
        if (net_.projections && (channels != outer || (i == 0 && stage > 0))) {
          unit(projection + ".0", projection + ".1", outer, channels, 1);
        }
        channels = outer;
      }
    }
    add(net_.classifier + ".weight", {net_.classes, channels}, -0.2, 0.2);
    add(net_.classifier + ".bias", {net_.classes}, -1, 1);
    return std::move(file_);
  }

 private:
  void unit(const std::string& convolution, const std::string& batch_norm, int out, int in,
            int kernel) {
    const double bound = std::sqrt(6.0 / (in * kernel * kernel));
    add(convolution + ".weight", {out, in, kernel, kernel}, -bound, bound);
    add(batch_norm + ".weight", {out}, 0.5, 1);
    add(batch_norm + ".bias", {out}, -0.3, 0.3);
    add(batch_norm + ".running_mean", {out}, -0.5, 0.5);
    add(batch_norm + ".running_var", {out}, 0.5, 2);
    file_.tensors.push_back({batch_norm + ".num_batches_tracked", {}, {100}});
  }

  void add(const std::string& name, const Shape& shape, double from, double to) {
    Random random(seed_, file_.tensors.size(), Use::test);
    NamedTensor tensor{name, shape, std::vector<float>(static_cast<size_t>(shape.count()))};
    for (float& value : tensor.data) {
      value = static_cast<float>(from + (to - from) * random.uniform());
    }
    file_.tensors.push_back(std::move(tensor));
  }

  const TorchNet& net_;
  uint64_t seed_;
  TensorFile file_;
};

}  // namespace

TorchNet torch_cifar_net(int blocks) {
  TorchNet net;
  net.stages = {blocks, blocks, blocks};
  net.width = 16;
  net.stem = 3;
  net.projections = false;
  net.projection = "shortcut";
  net.classifier = "linear";
  return net;
}

TensorFile random_tensors(const TorchNet& net, uint64_t seed) { return Maker(net, seed).run(); }

std::vector<double> run(const TorchNet& net, const TensorFile& weights, std::vector<double> image,
                        int size) {
  return Runner(net, weights).scores({3, size, std::move(image)});
}

}  // namespace resnet::test
