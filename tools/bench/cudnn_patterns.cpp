// Which fused patterns around a convolution cuDNN has an engine for, on the GPU or on a described H200, for the
// shapes of the nets. Nothing is run. Prints a JSON object for each net, type and pattern: how many of its
// shapes are supported, and which are not, with cuDNN's reason.
//
// usage: cudnn_patterns [--described]
#include <cudnn_frontend.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "h200.h"

namespace {

namespace fe = cudnn_frontend;
using Graph = fe::graph::Graph;
using TensorPtr = std::shared_ptr<fe::graph::Tensor_attributes>;
using Dims = std::vector<int64_t>;

// A convolution of a net; the kernel and the source are square.
struct Shape {
  int64_t batch, channels, side, outputs, kernel, stride;
  int64_t pad() const { return kernel / 2; }
  int64_t out_side() const { return (side + 2 * pad() - kernel) / stride + 1; }
  Dims src() const { return {batch, channels, side, side}; }
  Dims dst() const { return {batch, outputs, out_side(), out_side()}; }
  Dims weights() const { return {outputs, channels, kernel, kernel}; }
  std::string str() const {
    return std::to_string(channels) + "x" + std::to_string(side) + " k" + std::to_string(kernel) +
           " s" + std::to_string(stride) + " o" + std::to_string(outputs);
  }
  bool operator==(const Shape&) const = default;
};

struct Net {
  std::string name;
  std::vector<Shape> shapes;
  void add(const Shape& shape) {
    for (const Shape& known : shapes) {
      if (known == shape) return;
    }
    shapes.push_back(shape);
  }
};

// Without their first convolutions, whose input is neither normalised nor differentiated. ResNet-101 and 152
// have the shapes of ResNet-50, all CIFAR nets those of ResNet-20, ResNet-34 those of ResNet-18.
std::vector<Net> nets() {
  Net cifar{"cifar", {}}, basic{"resnet18_34", {}}, deep{"resnet50_101_152", {}};
  for (int stage = 0; stage < 3; ++stage) {
    const int64_t width = int64_t{16} << stage, side = 32 >> stage;
    if (stage > 0) cifar.add({128, width / 2, side * 2, width, 3, 2});
    cifar.add({128, width, side, width, 3, 1});
  }
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t{64} << stage, side = 56 >> stage, stride = stage > 0 ? 2 : 1;
    if (stage > 0) {
      basic.add({256, width / 2, side * 2, width, 3, 2});
      basic.add({256, width / 2, side * 2, width, 1, 2});
    }
    basic.add({256, width, side, width, 3, 1});
    const int64_t before = stage > 0 ? width * 2 : 64;
    deep.add({256, before, side * stride, width, 1, stride});
    deep.add({256, before, side * stride, width * 4, 1, stride});
    deep.add({256, width, side, width, 3, 1});
    deep.add({256, width, side, width * 4, 1, 1});
    deep.add({256, width * 4, side, width, 1, 1});
  }
  return {cifar, basic, deep};
}

TensorPtr image(Graph& graph, const char* name, const Dims& d) {
  return graph.tensor(fe::graph::Tensor_attributes().set_name(name).set_dim(d).set_stride(
      {d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]}));
}
TensorPtr channels(Graph& graph, const char* name, int64_t count, fe::DataType_t type) {
  return graph.tensor(fe::graph::Tensor_attributes()
                          .set_name(name)
                          .set_dim({1, count, 1, 1})
                          .set_stride({count, 1, count, count})
                          .set_data_type(type));
}
TensorPtr pointwise(Graph& graph, fe::PointwiseMode_t mode, const TensorPtr& a,
                    const TensorPtr& b = nullptr) {
  const auto attributes = fe::graph::Pointwise_attributes().set_mode(mode);
  return b ? graph.pointwise(a, b, attributes) : graph.pointwise(a, attributes);
}
void is_output(const TensorPtr& tensor) { tensor->set_output(true); }
void is_statistic(const TensorPtr& tensor) {
  tensor->set_output(true).set_data_type(fe::DataType_t::FLOAT);
}
template <class Attributes>
Attributes geometry(const Shape& s) {
  return Attributes()
      .set_padding({s.pad(), s.pad()})
      .set_stride({s.stride, s.stride})
      .set_dilation({1, 1});
}
TensorPtr convolve(Graph& graph, const Shape& s, const TensorPtr& src) {
  return graph.conv_fprop(src, image(graph, "weights", s.weights()),
                          geometry<fe::graph::Conv_fprop_attributes>(s));
}
// max(0, src * scale + shift): BatchNorm and ReLU before a convolution.
TensorPtr normalised(Graph& graph, const Shape& s, fe::DataType_t type) {
  const auto src = image(graph, "src", s.src());
  const auto scaled =
      pointwise(graph, fe::PointwiseMode_t::MUL, src, channels(graph, "scale", s.channels, type));
  const auto shifted = pointwise(graph, fe::PointwiseMode_t::ADD, scaled,
                                 channels(graph, "shift", s.channels, type));
  return pointwise(graph, fe::PointwiseMode_t::RELU_FWD, shifted);
}
void add_statistics(Graph& graph, const TensorPtr& dst) {
  is_output(dst);
  for (const auto& sum : graph.genstats(dst, fe::graph::Genstats_attributes())) is_statistic(sum);
}

struct Pattern {
  const char* name;
  std::function<void(Graph&, const Shape&, fe::DataType_t)> build;
};

std::vector<Pattern> patterns() {
  using Mode = fe::PointwiseMode_t;
  const auto biased = [](Graph& graph, const Shape& s) {
    return pointwise(graph, Mode::ADD, convolve(graph, s, image(graph, "src", s.src())),
                     channels(graph, "bias", s.outputs, fe::DataType_t::FLOAT));
  };
  return {
      {"conv", [](Graph& graph, const Shape& s,
                  fe::DataType_t) { is_output(convolve(graph, s, image(graph, "src", s.src()))); }},
      {"conv_statistics",
       [](Graph& graph, const Shape& s, fe::DataType_t) {
         add_statistics(graph, convolve(graph, s, image(graph, "src", s.src())));
       }},
      {"normalise_relu_conv",
       [](Graph& graph, const Shape& s, fe::DataType_t type) {
         is_output(convolve(graph, s, normalised(graph, s, type)));
       }},
      {"normalise_relu_conv_statistics",
       [](Graph& graph, const Shape& s, fe::DataType_t type) {
         add_statistics(graph, convolve(graph, s, normalised(graph, s, type)));
       }},
      {"normalise_relu_wgrad",
       [](Graph& graph, const Shape& s, fe::DataType_t type) {
         const auto diff =
             graph.conv_wgrad(image(graph, "diff_dst", s.dst()), normalised(graph, s, type),
                              geometry<fe::graph::Conv_wgrad_attributes>(s));
         diff->set_dim(s.weights());
         is_output(diff);
       }},
      {"dgrad_drelu_dbn",
       [](Graph& graph, const Shape& s, fe::DataType_t) {
         constexpr auto kFloat = fe::DataType_t::FLOAT;
         const auto diff =
             graph.conv_dgrad(image(graph, "diff_dst", s.dst()), image(graph, "w", s.weights()),
                              geometry<fe::graph::Conv_dgrad_attributes>(s));
         diff->set_dim(s.src());
         const auto src = image(graph, "src", s.src());
         const auto mean = channels(graph, "mean", s.channels, kFloat),
                    inverse = channels(graph, "inverse_std", s.channels, kFloat),
                    scale = channels(graph, "scale", s.channels, kFloat),
                    shift = channels(graph, "shift", s.channels, kFloat);
         const auto centred = pointwise(graph, Mode::SUB, src, mean);
         const auto standard = pointwise(graph, Mode::MUL, centred, inverse);
         const auto before_relu =
             pointwise(graph, Mode::ADD, pointwise(graph, Mode::MUL, standard, scale), shift);
         const auto masked = pointwise(graph, Mode::RELU_BWD, diff, before_relu);
         is_output(masked);
         for (const auto& sum : graph.dbn_weight(masked, src, mean, inverse, scale,
                                                 fe::graph::DBN_weight_attributes())) {
           is_statistic(sum);
         }
       }},
      {"conv_bias_relu",
       [biased](Graph& graph, const Shape& s, fe::DataType_t) {
         is_output(pointwise(graph, Mode::RELU_FWD, biased(graph, s)));
       }},
      {"conv_bias_add_relu",
       [biased](Graph& graph, const Shape& s, fe::DataType_t) {
         const auto sum =
             pointwise(graph, Mode::ADD, biased(graph, s), image(graph, "addend", s.dst()));
         is_output(pointwise(graph, Mode::RELU_FWD, sum));
       }},
  };
}

// "" or why cuDNN has no engine for it; one without a handle is for the described GPU.
std::string reason_against(const Pattern& pattern, const Shape& shape, fe::DataType_t type,
                           cudnnHandle_t handle,
                           const std::shared_ptr<fe::DeviceProperties>& described) {
  Graph graph;
  graph.set_io_data_type(type)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  if (described) graph.set_device_properties(described).set_sm_version(90);
  pattern.build(graph, shape, type);
  fe::error_t error = graph.validate();
  if (error.is_good()) {
    error = handle != nullptr ? graph.build_operation_graph(handle) : graph.build_operation_graph();
  }
  if (error.is_good()) {
    error = graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK});
  }
  if (error.is_good()) error = graph.check_support();
  return error.is_good() ? "" : error.get_message();
}

std::string json_string(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
  }
  return result + '"';
}

void report(cudnnHandle_t handle, const std::shared_ptr<fe::DeviceProperties>& described) {
  const std::array<std::pair<const char*, fe::DataType_t>, 2> types{
      {{"bf16", fe::DataType_t::BFLOAT16}, {"f16", fe::DataType_t::HALF}}};
  for (const Net& net : nets()) {
    for (const auto& [type_name, type] : types) {
      for (const Pattern& pattern : patterns()) {
        std::string missing, reason;
        size_t supported = 0;
        for (const Shape& shape : net.shapes) {
          const std::string against = reason_against(pattern, shape, type, handle, described);
          if (against.empty()) {
            ++supported;
            continue;
          }
          missing += (missing.empty() ? "" : ", ") + json_string(shape.str());
          reason = against;
        }
        std::printf(
            "{\"net\": \"%s\", \"type\": \"%s\", \"pattern\": \"%s\", \"shapes\": %zu, "
            "\"supported\": %zu, \"missing\": [%s], \"reason\": %s}\n",
            net.name.c_str(), type_name, pattern.name, net.shapes.size(), supported,
            missing.c_str(), json_string(reason).c_str());
        std::fflush(stdout);
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const bool described = argc == 2 && std::strcmp(argv[1], "--described") == 0;
  if (argc > 1 && !described) {
    std::fprintf(stderr, "usage: cudnn_patterns [--described]\n");
    return 2;
  }
  try {
    if (described) {
      auto facts = std::make_shared<fe::DeviceProperties>();
      const std::string text = resnet::testing::kH200;
      fe::error_t error = facts->deserialize({text.begin(), text.end()});
      if (error.is_bad()) {
        std::fprintf(stderr, "cudnn_patterns: this cuDNN takes no description of a GPU: %s\n",
                     error.get_message().c_str());
        return 1;
      }
      report(nullptr, facts);
      return 0;
    }
    cudnnHandle_t handle = nullptr;
    const cudnnStatus_t status = cudnnCreate(&handle);
    if (status != CUDNN_STATUS_SUCCESS) {
      std::fprintf(stderr, "cudnn_patterns: cuDNN finds no GPU: %s\n", cudnnGetErrorString(status));
      return 1;
    }
    report(handle, nullptr);
    cudnnDestroy(handle);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "cudnn_patterns: %s\n", e.what());
    return 1;
  }
  return 0;
}
