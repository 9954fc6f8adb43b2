// Small nets as prototxt text, and helpers to fill and compare them.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "resnet/backend/backend.h"
#include "resnet/base/random.h"
#include "resnet/net/net.h"

namespace resnet::testing {

inline NetParameter parse_net(const std::string& text) {
  NetParameter net;
  if (!google::protobuf::TextFormat::ParseFromString(text, &net))
    throw std::runtime_error("bad test net");
  return net;
}

inline std::string layer(const std::string& name, const std::string& type,
                         const std::string& bottoms, const std::string& top,
                         const std::string& more = "") {
  std::string text = "layer { name: '" + name + "' type: '" + type + "'";
  for (size_t at = 0; at < bottoms.size();) {
    const size_t comma = std::min(bottoms.find(',', at), bottoms.size());
    text += " bottom: '" + bottoms.substr(at, comma - at) + "'";
    at = comma + 1;
  }
  return text + " top: '" + top + "' " + more + " }\n";
}

inline std::string conv(const std::string& name, const std::string& bottom, int out, int kernel,
                        int stride = 1) {
  return layer(name, "Convolution", bottom, name,
               "convolution_param { num_output: " + std::to_string(out) +
                   " kernel_size: " + std::to_string(kernel) +
                   " pad: " + std::to_string(kernel / 2) + " stride: " + std::to_string(stride) +
                   " bias_term: false weight_filler { type: 'msra' } }");
}

inline std::string norm(const std::string& blob, const std::string& more = "") {
  return layer("bn_" + blob, "BatchNorm", blob, blob, "batch_norm_param { " + more + " }") +
         layer("scale_" + blob, "Scale", blob, blob,
               "scale_param { bias_term: true filler { type: 'uniform' min: 0.5 max: 1.5 } "
               "bias_filler { type: 'uniform' min: -0.5 max: 0.5 } }");
}

inline std::string relu(const std::string& blob) {
  return layer(blob + "_relu", "ReLU", blob, blob);
}

// A small residual net: a stem, an identity block, a block with an option-A shortcut, one with a projection,
// max pooling, global pooling, a classifier; loss and accuracy.
inline std::string residual_net(int batch, int channels = 4, int size = 8,
                                const std::string& bn = "") {
  const std::string n = std::to_string(batch);
  const std::string s = std::to_string(size);
  const int c2 = 2 * channels;
  std::string text = "name: 'small'\n";
  text +=
      "layer { name: 'in' type: 'Input' top: 'data' top: 'label' input_param { shape { dim: " + n +
      " dim: 3 dim: " + s + " dim: " + s + " } shape { dim: " + n + " } } }\n";
  text += conv("conv1", "data", channels, 3) + norm("conv1", bn) + relu("conv1");
  text += layer("pool1", "Pooling", "conv1", "pool1",
                "pooling_param { pool: MAX kernel_size: 3 stride: 1 pad: 1 }");
  text += conv("a1", "pool1", channels, 3) + norm("a1", bn) + relu("a1");
  text += conv("a2", "a1", channels, 3) + norm("a2", bn);
  text += layer("a", "Eltwise", "pool1,a2", "a") + relu("a");
  text += conv("b1", "a", c2, 3, 2) + norm("b1", bn) + relu("b1");
  text += conv("b2", "b1", c2, 3) + norm("b2", bn);
  text += layer("b0", "IdentityShortcut", "a", "b0",
                "identity_shortcut_param { stride: 2 num_output: " + std::to_string(c2) + " }");
  text += layer("b", "Eltwise", "b0,b2", "b") + relu("b");
  text += conv("c0", "b", c2 + 4, 1, 2) + norm("c0", bn);
  text += conv("c1", "b", c2 + 4, 3, 2) + norm("c1", bn) + relu("c1");
  text += conv("c2", "c1", c2 + 4, 3) + norm("c2", bn);
  text += layer("c", "Eltwise", "c0,c2", "c") + relu("c");
  text += layer("pool", "Pooling", "c", "pool", "pooling_param { pool: AVE global_pooling: true }");
  text += layer("fc", "InnerProduct", "pool", "fc",
                "inner_product_param { num_output: 5 weight_filler { type: 'msra' } "
                "bias_filler { type: 'uniform' min: -0.1 max: 0.1 } }");
  text += layer("loss", "SoftmaxWithLoss", "fc,label", "loss");
  text += layer("accuracy", "Accuracy", "fc,label", "accuracy");
  return text;
}

inline void fill_inputs(Net& net, Session& session, uint64_t seed, int classes = 5) {
  for (const std::string& name : net.input_names(session)) {
    const Tensor t = net.input(session, name);
    Random random(seed, 0, Use::test, name == "label" ? 1 : 0);
    for (int64_t i = 0; i < t.desc.count(); ++i) {
      const double v =
          name == "label" ? random.below(static_cast<uint32_t>(classes)) : random.normal();
      if (t.desc.dtype == DType::f64) {
        t.as<double>()[i] = v;
      } else {
        t.as<float>()[i] = static_cast<float>(v);
      }
    }
  }
}

// ||a - b|| / max(||b||, tiny)
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double diff = 0;
  double norm = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    diff += (a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
    norm += b[i] * static_cast<double>(b[i]);
  }
  return std::sqrt(diff) /
         std::max(std::sqrt(norm), 1e-6 * std::sqrt(static_cast<double>(a.size())));
}

}  // namespace resnet::testing
