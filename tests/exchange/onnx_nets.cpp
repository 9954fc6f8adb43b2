#include "exchange/onnx_nets.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "net/small_nets.h"
#include "resnet/base/random.h"
#include "resnet/eval/weights.h"

namespace resnet::test {
namespace {

using testing::layer;
using testing::parse_net;

// Values for a parameter by its role; `i`: its index in the net.
std::vector<float> random_parameter(const Parameter& parameter, uint64_t i) {
  constexpr double kFactor = 1.7;  // what BatchNorm's sums are to be divided by
  Random random(11, i, Use::test);
  std::vector<float> values(static_cast<size_t>(parameter.shape.count()));
  const double fan_in = std::max<double>(1, static_cast<double>(parameter.shape.count_from(1)));
  for (float& value : values) {
    double v = 0.3 * random.normal();  // bias, beta
    if (parameter.role == "weight") v = random.normal() * std::sqrt(2 / fan_in);
    if (parameter.role == "gamma") v = 0.5 + random.uniform();
    if (parameter.role == "mean") v = kFactor * 0.5 * random.normal();
    if (parameter.role == "variance") v = kFactor * (0.5 + 1.5 * random.uniform());
    if (parameter.role == "factor") v = kFactor;
    value = static_cast<float>(v);
  }
  return values;
}

std::string conv(const std::string& name, const std::string& bottom, const std::string& param) {
  return layer(name, "Convolution", bottom, name, "convolution_param { " + param + " }");
}
std::string norm(const std::string& name, const std::string& bottom, const std::string& top) {
  return layer(name, "BatchNorm", bottom, top, "batch_norm_param { eps: 1e-4 }");
}
std::string scale(const std::string& name, const std::string& bottom, const std::string& top,
                  const std::string& param = "bias_term: true") {
  return layer(name, "Scale", bottom, top, "scale_param { " + param + " }");
}
std::string pool(const std::string& name, const std::string& bottom, const std::string& param) {
  return layer(name, "Pooling", bottom, name, "pooling_param { " + param + " }");
}
std::string eltwise(const std::string& name, const std::string& bottoms, const std::string& param) {
  return layer(name, "Eltwise", bottoms, name, "eltwise_param { " + param + " }");
}
std::string product(const std::string& name, const std::string& bottom, const std::string& param) {
  return layer(name, "InnerProduct", bottom, name, "inner_product_param { " + param + " }");
}
std::string shortcut(const std::string& name, const std::string& bottom, const std::string& param) {
  return layer(name, "IdentityShortcut", bottom, name, "identity_shortcut_param { " + param + " }");
}
std::string split(const std::string& bottom, const std::string& first, const std::string& second) {
  return "layer { name: 'split_" + bottom + "' type: 'Split' bottom: '" + bottom + "' top: '" +
         first + "' top: '" + second + "' }\n";
}

const std::string kConv = "num_output: 4 kernel_size: 3 pad: 1";

std::vector<OnnxCase> convolutions() {
  const std::string x = input_x("1 4 9 7");
  return {
      {"conv_bias", x + conv("y", "x", kConv + " stride: 2")},
      {"conv_plain", x + conv("y", "x", "num_output: 5 kernel_size: 1 bias_term: false")},
      {"conv_groups", x + conv("y", "x", "num_output: 6 kernel_size: 3 group: 2")},
      {"conv_depthwise", x + conv("y", "x", "num_output: 4 kernel_size: 3 group: 4 pad: 1")},
      {"conv_dilated", x + conv("y", "x", "num_output: 3 kernel_size: 3 dilation: 2 pad: 2")},
      {"conv_oblong", x + conv("y", "x",
                               "num_output: 3 kernel_h: 5 kernel_w: 2 pad_h: 2 pad_w: 0 "
                               "stride_h: 1 stride_w: 2")},
  };
}

std::vector<OnnxCase> norms() {
  const std::string x = input_x("1 4 6 5"), c = x + conv("c", "x", kConv);
  return {
      {"norm_alone", c + norm("n", "c", "c"), true},
      {"norm_scale", c + norm("n", "c", "c") + scale("s", "c", "c"), true},
      {"norm_scale_names", c + norm("n", "c", "n") + scale("s", "n", "s"), true},
      {"norm_gamma_only", c + norm("n", "c", "c") + scale("s", "c", "c", ""), true},
      {"norm_first", x + norm("n", "x", "n") + scale("s", "n", "s") + conv("y", "s", kConv)},
      {"norm_read_twice", c + norm("n", "c", "n") + scale("s", "n", "s") + eltwise("y", "n,s", ""),
       true},
      {"conv_read_twice", c + norm("n", "c", "n") + scale("s", "n", "s") + eltwise("y", "c,s", "")},
      {"norm_of_vectors", x + product("f", "x", "num_output: 6") + norm("n", "f", "n")},
      {"scale_alone", x + scale("y", "x", "y")},
      {"scale_number", x + scale("y", "x", "y", "num_axes: 0 bias_term: true")},
      {"scale_rows", x + scale("y", "x", "y", "axis: 2 num_axes: 1 bias_term: true")},
      {"scale_all", x + scale("y", "x", "y", "axis: 1 num_axes: -1")},
      {"norm_then_rows", c + norm("n", "c", "n") + scale("y", "n", "y", "axis: 2"), true},
  };
}

std::vector<OnnxCase> elementwise() {
  const std::string x = input_x("1 4 6 5"), c = x + conv("c", "x", kConv);
  const std::string d = c + conv("d", "x", "num_output: 4 kernel_size: 1");
  return {
      {"relu", x + layer("y", "ReLU", "x", "y")},
      {"relu_in_place", c + layer("r", "ReLU", "c", "c")},
      {"relu_on_input", x + layer("r", "ReLU", "x", "x") + conv("y", "x", kConv)},
      {"relu_leaky", x + layer("y", "ReLU", "x", "y", "relu_param { negative_slope: 0.1 }")},
      {"sum", d + eltwise("y", "x,c", "")},
      {"sum_of_three", d + eltwise("y", "x,c,d", "operation: SUM")},
      {"sum_twice", d + eltwise("y", "c,c", "") + eltwise("z", "d,y", "")},
      {"sum_weighted", d + eltwise("y", "x,c,d", "coeff: 0.5 coeff: 1 coeff: -2")},
      {"product", d + eltwise("y", "x,c,d", "operation: PROD")},
      {"maximum", d + eltwise("y", "x,c,d", "operation: MAX")},
      {"softmax", d + layer("y", "Softmax", "d", "y")},
      {"softmax_rows", d + layer("y", "Softmax", "d", "y", "softmax_param { axis: -2 }")},
      {"softmax_of_scores",
       d + product("f", "d", "num_output: 7") + layer("y", "Softmax", "f", "y")},
  };
}

std::vector<OnnxCase> movements() {
  const std::string x = input_x("1 4 7 5"),
                    c = x + conv("c", "x", "num_output: 3 kernel_size: 3 pad: 1");
  const std::string flat = "flatten_param { ";
  return {
      {"concat", c + layer("y", "Concat", "x,c,x", "y")},
      {"concat_rows", x + layer("y", "Concat", "x,x", "y", "concat_param { axis: 2 }")},
      {"concat_images", x + layer("y", "Concat", "x,x", "y", "concat_param { axis: 0 }")},
      {"concat_one", c + layer("y", "Concat", "c", "y")},
      {"flatten", x + layer("y", "Flatten", "x", "y")},
      {"flatten_pixels", x + layer("y", "Flatten", "x", "y", flat + "axis: 2 }")},
      {"flatten_rows", x + layer("y", "Flatten", "x", "y", flat + "axis: 1 end_axis: 2 }")},
      {"flatten_images", x + layer("y", "Flatten", "x", "y", flat + "axis: 0 end_axis: 1 }")},
      {"product_of_images", x + product("y", "x", "num_output: 5")},
      {"product_turned", x + product("y", "x", "num_output: 5 transpose: true bias_term: false")},
      {"product_of_rows", x + product("y", "x", "num_output: 5 axis: 2")},
      {"product_of_pixels", x + product("y", "x", "num_output: 5 axis: -1 bias_term: false")},
      {"product_twice",
       x + product("f", "x", "num_output: 5") + product("y", "f", "num_output: 3")},
      {"shortcut", x + shortcut("y", "x", "stride: 2 num_output: 7")},
      {"shortcut_strided", x + shortcut("y", "x", "stride: 3")},
      {"shortcut_wider", x + shortcut("y", "x", "num_output: 6")},
      {"shortcut_none", x + shortcut("y", "x", "")},
      {"dropout", c + layer("d", "Dropout", "c", "c") + layer("y", "Dropout", "c", "y")},
      {"split", c + split("c", "a", "b") + layer("y", "ReLU", "b", "y")},
      {"split_twice", c + split("c", "a", "b") + split("b", "e", "f")},
      {"two_inputs",
       "input: 'x' input: 'z' input_dim: 1 input_dim: 4 input_dim: 7 input_dim: 5 "
       "input_dim: 1 input_dim: 4 input_dim: 7 input_dim: 5 " +
           eltwise("y", "x,z", "")},
  };
}

std::vector<OnnxCase> poolings() {
  const std::string x = input_x("1 2 8 7");
  return {
      {"pool_global", x + pool("y", "x", "pool: AVE global_pooling: true")},
      {"pool_global_max", x + pool("y", "x", "pool: MAX global_pooling: true")},
      {"pool_whole", x + pool("y", "x", "pool: AVE kernel_h: 8 kernel_w: 7")},
      {"pool_max_up", x + pool("y", "x", "pool: MAX kernel_size: 3 stride: 2")},
      {"pool_max_down", x + pool("y", "x", "kernel_size: 3 stride: 2 round_mode: FLOOR")},
      {"pool_max_padded", x + pool("y", "x", "kernel_size: 3 stride: 2 pad: 1")},
      {"pool_average_up", x + pool("y", "x", "pool: AVE kernel_size: 3 stride: 2")},
      {"pool_average_padded", x + pool("y", "x", "pool: AVE kernel_size: 3 stride: 1 pad: 1")},
      {"pool_average_corrected", x + pool("y", "x", "pool: AVE kernel_size: 3 stride: 2 pad: 1")},
      {"pool_average_oblong", x + pool("y", "x",
                                       "pool: AVE kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 "
                                       "pad_h: 1 pad_w: 0")},
  };
}

// The forms of the published deploy nets: legacy input, layers of their own for BatchNorm and Scale, both in
// place, use_global_stats, biases in front of BatchNorm, a last pooling of the whole image.
OnnxCase published() {
  std::string text =
      "name: 'published' input: 'data' input_dim: 1 input_dim: 3 input_dim: 18 "
      "input_dim: 18\n";
  const auto normed = [](const std::string& blob) {
    return layer("bn_" + blob, "BatchNorm", blob, blob,
                 "batch_norm_param { use_global_stats: true }") +
           layer("scale_" + blob, "Scale", blob, blob, "scale_param { bias_term: true }");
  };
  const auto relu = [](const std::string& blob) {
    return layer(blob + "_relu", "ReLU", blob, blob);
  };
  const auto sized = [](int outputs, int kernel, int stride, const std::string& more = "") {
    return "num_output: " + std::to_string(outputs) + " kernel_size: " + std::to_string(kernel) +
           " pad: " + std::to_string(kernel / 2) + " stride: " + std::to_string(stride) + more;
  };
  const std::string unbiased = " bias_term: false";
  text += conv("conv1", "data", sized(6, 7, 2)) + normed("conv1") + relu("conv1");
  text += pool("pool1", "conv1", "kernel_size: 3 stride: 2 pool: MAX");
  text += conv("res2a_branch1", "pool1", sized(8, 1, 1, unbiased)) + normed("res2a_branch1");
  text += conv("res2a_branch2a", "pool1", sized(4, 1, 1, unbiased)) + normed("res2a_branch2a") +
          relu("res2a_branch2a");
  text += conv("res2a_branch2b", "res2a_branch2a", sized(4, 3, 1, unbiased)) +
          normed("res2a_branch2b") + relu("res2a_branch2b");
  text +=
      conv("res2a_branch2c", "res2a_branch2b", sized(8, 1, 1, unbiased)) + normed("res2a_branch2c");
  text += layer("res2a", "Eltwise", "res2a_branch1,res2a_branch2c", "res2a") + relu("res2a");
  text += pool("pool5", "res2a", "kernel_size: 4 stride: 1 pool: AVE");
  text += product("fc1000", "pool5", "num_output: 10") + layer("prob", "Softmax", "fc1000", "prob");
  return {"published", text, true};
}

}  // namespace

std::string input_x(const std::string& dims) {
  std::istringstream numbers(dims);
  std::string text = "layer { name: 'in' type: 'Input' top: 'x' input_param { shape {";
  for (std::string dim; numbers >> dim;) text += " dim: " + dim;
  return text + " } } }\n";
}

WeightedNet::WeightedNet(NetParameter param, const std::string& backend)
    : net(std::make_unique<Net>(std::move(param), std::shared_ptr<Backend>(make_backend(backend)),
                                NetOptions{}, std::map<std::string, Shape>{},
                                std::map<std::string, Shape>{})) {
  for (size_t i = 0; i < net->parameters().size(); ++i) {
    net->write_parameter(static_cast<int>(i), random_parameter(net->parameters()[i], i));
  }
  weighted = with_weights(*net, std::nullopt);
}

WeightedNet::WeightedNet(const std::string& text) : WeightedNet(parse_net(text), "reference") {}

Values WeightedNet::input(int64_t batch) {
  Values values;
  Session& session = net->session(TEST, batch);
  uint32_t stream = 0;
  for (const std::string& name : net->input_names(session)) {
    HostArray& array = values[name];
    array.shape = net->input(session, name).desc.shape;
    Random random(3, static_cast<uint64_t>(batch), Use::test, stream++);
    for (int64_t i = 0; i < array.shape.count(); ++i) {
      array.data.push_back(static_cast<float>(random.normal()));
    }
  }
  return values;
}

Values WeightedNet::run(const Values& input, int64_t batch, const std::vector<std::string>& blobs) {
  Session& session = net->session(TEST, batch, {}, blobs);
  for (const auto& [name, array] : input) {
    std::copy(array.data.begin(), array.data.end(), net->input(session, name).as<float>());
  }
  net->forward(session);
  Values values;
  for (const std::string& blob : blobs) values[blob] = net->read(session, blob);
  return values;
}

std::vector<OnnxCase> onnx_cases() {
  std::vector<OnnxCase> all{published()};
  for (const auto& part : {convolutions(), norms(), elementwise(), movements(), poolings()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

double difference(const Values& values, const Values& expected) {
  double largest = 0, size = 0;
  if (values.size() != expected.size()) return std::numeric_limits<double>::infinity();
  for (const auto& [name, array] : expected) {
    const auto found = values.find(name);
    if (found == values.end() || found->second.shape != array.shape) {
      return std::numeric_limits<double>::infinity();
    }
    for (size_t i = 0; i < array.data.size(); ++i) {
      const double d = std::abs(static_cast<double>(array.data[i]) - found->second.data[i]);
      if (!std::isfinite(d)) return std::numeric_limits<double>::infinity();
      largest = std::max(largest, d);
      size = std::max(size, std::abs(static_cast<double>(array.data[i])));
    }
  }
  return size > 0 ? largest / size : largest;
}

}  // namespace resnet::test
