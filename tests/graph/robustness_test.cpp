// Nets with absurd numbers are built or refused, nothing else.
#include <cctype>

#include "graph/net_text.h"

namespace resnet::test {
namespace {

constexpr const char* kNet = R"(
input: "d" input_dim: 2 input_dim: 3 input_dim: 9 input_dim: 8
layer { name: "i" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "dd" type: "DummyData" top: "dummy" dummy_data_param { num: 2 channels: 3 height: 4 width: 5 } }
layer { name: "c" type: "Convolution" bottom: "d" top: "c" loss_weight: 0
  convolution_param { num_output: 6 kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 dilation: 1 group: 3 axis: 1 } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { group_size: 1 } }
layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { axis: 1 num_axes: 1 bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0 } }
layer { name: "id" type: "IdentityShortcut" bottom: "c" top: "id" identity_shortcut_param { stride: 1 num_output: 6 } }
layer { name: "e" type: "Eltwise" bottom: "c" bottom: "id" top: "e" eltwise_param { coeff: 1 coeff: -1 } }
layer { name: "p" type: "Pooling" bottom: "e" top: "p" pooling_param { kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "cat" type: "Concat" bottom: "p" bottom: "p" top: "cat" concat_param { axis: 1 } }
layer { name: "dr" type: "Dropout" bottom: "cat" top: "cat" dropout_param { dropout_ratio: 0 } }
layer { name: "f" type: "Flatten" bottom: "cat" top: "f" flatten_param { axis: 1 end_axis: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "f" top: "ip" inner_product_param { num_output: 5 axis: 1 } }
layer { name: "sm" type: "Softmax" bottom: "ip" top: "sm" softmax_param { axis: 1 } }
layer { name: "l" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "l"
  loss_param { ignore_label: 1 label_smoothing: 0 } softmax_param { axis: 1 } }
layer { name: "a" type: "Accuracy" bottom: "ip" bottom: "label" top: "a"
  accuracy_param { top_k: 2 axis: 1 ignore_label: 1 } }
)";

// Begin and length of every number in the text.
std::vector<std::pair<size_t, size_t>> numbers_of(const std::string& text) {
  std::vector<std::pair<size_t, size_t>> numbers;
  for (size_t i = text.find(": "); i != std::string::npos; i = text.find(": ", i + 1)) {
    size_t end = i + 2;
    while (text[end] == '-' || std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    if (end > i + 2) numbers.emplace_back(i + 2, end - i - 2);
  }
  return numbers;
}

// Whether the net could be built.
bool builds(const NetParameter& net, Phase phase) {
  GraphOptions options;
  options.phase = phase;
  try {
    validate(build_graph(net, options));
    return true;
  } catch (const ConfigError& e) {
    EXPECT_FALSE(std::string(e.what()).empty());
    return false;
  }
}

TEST(Robustness, AbsurdNumbers) {
  const std::string text = kNet;
  ASSERT_TRUE(builds(net_of(text), TRAIN));
  const auto numbers = numbers_of(text);
  ASSERT_GE(numbers.size(), 40u);
  int refused = 0;
  for (const auto& [begin, length] : numbers) {
    for (const char* value :
         {"0", "-1", "1", "7", "-2147483648", "2147483647", "4294967295", "9223372036854775807"}) {
      std::string changed = text;
      changed.replace(begin, length, value);
      NetParameter net;
      google::protobuf::LogSilencer quiet;
      if (!google::protobuf::TextFormat::ParseFromString(changed, &net)) continue;
      refused += !builds(net, TRAIN);
      refused += !builds(net, TEST);
    }
  }
  EXPECT_GE(refused, 100);
}

TEST(Robustness, EveryLayerLeftOut) {
  const NetParameter net = net_of(kNet);
  for (int i = 0; i < net.layer_size(); ++i) {
    NetParameter changed = net;
    changed.mutable_layer()->DeleteSubrange(i, 1);
    builds(changed, TRAIN);
  }
}

TEST(Robustness, EveryPairOfLayersSwapped) {
  const NetParameter net = net_of(kNet);
  for (int i = 0; i < net.layer_size(); ++i) {
    for (int j = 0; j < i; ++j) {
      NetParameter changed = net;
      changed.mutable_layer()->SwapElements(i, j);
      builds(changed, TEST);
    }
  }
}

}  // namespace
}  // namespace resnet::test
