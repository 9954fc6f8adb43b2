// One function for each op: the nodes of ONNX that compute the same.
#include <algorithm>
#include <cmath>

#include "exchange/onnx_graph.h"

namespace resnet::onnx {
namespace {

std::vector<int64_t> list(const Pair& pair) { return {pair[0], pair[1]}; }
// The same padding before and behind.
std::vector<int64_t> both_sides(const Pair& pad) { return {pad[0], pad[1], pad[0], pad[1]}; }

struct Refusal {
  std::string operator()(const BatchNorm& op) const {
    if (op.global) return "";
    return "takes the statistics of each batch (use_global_stats: false); a model has fixed ones";
  }
  std::string operator()(const Convolution&) const { return ""; }
  std::string operator()(const InnerProduct&) const { return ""; }
  std::string operator()(const Scale&) const { return ""; }
  std::string operator()(const Relu&) const { return ""; }
  std::string operator()(const Eltwise&) const { return ""; }
  std::string operator()(const Pooling&) const { return ""; }
  std::string operator()(const Softmax&) const { return ""; }
  std::string operator()(const Concat&) const { return ""; }
  std::string operator()(const Reshape&) const { return ""; }
  std::string operator()(const IdentityShortcut&) const { return ""; }
  std::string operator()(const SoftmaxLoss&) const { return kObjective; }
  std::string operator()(const CountLabels&) const { return kObjective; }
  std::string operator()(const Accuracy&) const { return kObjective; }
  template <class T>
  std::string operator()(const T& op) const {
    return std::string("uses the operation ") + name_of(Op(op)) + ", which is not exported";
  }

  static constexpr const char* kObjective =
      "compares scores with labels, which a model for use does not; export the deploy net";
};

}  // namespace

std::string refusal(const Node& node) { return std::visit(Refusal{}, node.op); }

GraphWriter::Norm GraphWriter::norm_of(const Node& node) const {
  const auto channels = static_cast<size_t>(shape(node.in[1])[0]);
  const std::vector<float> mean = values_of(node.in[1]), variance = values_of(node.in[2]);
  const double sum = values_of(node.in[3]).at(0);  // the weight of the running sums
  const double factor = sum == 0 ? 0 : 1 / sum;
  Norm norm;
  norm.eps = std::get<BatchNorm>(node.op).eps;
  for (size_t c = 0; c < channels; ++c) {
    norm.mean.push_back(mean[c] * factor);
    norm.variance.push_back(variance[c] * factor);
  }
  norm.gamma.assign(channels, 1.0F);
  norm.beta.assign(channels, 0.0F);
  const auto scale = scale_after_.find(&node);
  if (scale == scale_after_.end()) return norm;
  norm.gamma = values_of(scale->second->in[1]);
  if (std::get<Scale>(scale->second->op).bias) norm.beta = values_of(scale->second->in[2]);
  return norm;
}

const std::string& GraphWriter::result_of(const Node& norm) const {
  const auto scale = scale_after_.find(&norm);
  return name((scale == scale_after_.end() ? norm : *scale->second).out[0]);
}

void GraphWriter::write(const Convolution& op, const Node& node) {
  std::vector<std::string> in{name(node.in[0])};
  const auto norm_node = norm_after_.find(&node);
  if (norm_node == norm_after_.end()) {
    in.push_back(parameter(node.in[1]));
    if (op.bias) in.push_back(parameter(node.in[2]));
  } else {
    // As the plan folds for inference: gamma * (conv + bias - mean) / std + beta, in double precision.
    const Norm norm = norm_of(*norm_node->second);
    std::vector<float> weights = values_of(node.in[1]), bias(norm.mean.size(), 0.0F);
    if (op.bias) bias = values_of(node.in[2]);
    const size_t size = weights.size() / norm.mean.size();
    for (size_t o = 0; o < norm.mean.size(); ++o) {
      const double scale = norm.gamma[o] / std::sqrt(norm.variance[o] + norm.eps);
      for (size_t i = o * size; i < (o + 1) * size; ++i) {
        weights[i] = static_cast<float>(weights[i] * scale);
      }
      bias[o] = static_cast<float>((bias[o] - norm.mean[o]) * scale + norm.beta[o]);
    }
    in.push_back(floats(node.layer + "/weight", shape(node.in[1]).dims(), weights));
    in.push_back(floats(node.layer + "/bias", {op.num_output}, bias));
  }
  NodeProto& conv =
      add("Conv", node.layer, in,
          norm_node == norm_after_.end() ? name(node.out[0]) : result_of(*norm_node->second));
  set_attribute(conv, "kernel_shape", list(op.kernel));
  set_attribute(conv, "strides", list(op.stride));
  set_attribute(conv, "pads", both_sides(op.pad));
  set_attribute(conv, "dilations", list(op.dilation));
  set_attribute(conv, "group", op.groups);
}

void GraphWriter::write(const BatchNorm& op, const Node& node) {
  const Norm norm = norm_of(node);
  const std::vector<int64_t> dims{static_cast<int64_t>(norm.mean.size())};
  const auto scale = scale_after_.find(&node);
  const std::string& owner = scale == scale_after_.end() ? node.layer : scale->second->layer;
  const auto add_statistics = [&](const char* role, const std::vector<double>& values) {
    return floats(node.layer + "/" + role, dims, {values.begin(), values.end()});
  };
  NodeProto& normalize =
      add("BatchNormalization", node.layer,
          {name(node.in[0]), floats(owner + "/gamma", dims, norm.gamma),
           floats(owner + "/beta", dims, norm.beta), add_statistics("mean", norm.mean),
           add_statistics("variance", norm.variance)},
          result_of(node));
  set_attribute(normalize, "epsilon", static_cast<float>(op.eps));
}

void GraphWriter::write(const Scale& op, const Node& node) {
  // ONNX repeats operands from the right.
  std::vector<int64_t> dims = shape(node.in[1]).dims();
  dims.resize(static_cast<size_t>(shape(node.in[0]).rank() - op.axis), 1);
  const std::string& result = name(node.out[0]);
  const std::string scaled = op.bias ? inner(node, "scaled") : result;
  add("Mul", node.layer, {name(node.in[0]), parameter(node.in[1], dims)}, scaled);
  if (op.bias) add("Add", node.layer + "/add", {scaled, parameter(node.in[2], dims)}, result);
}

void GraphWriter::write(const Relu& op, const Node& node) {
  const std::vector<std::string> in{name(node.in[0])};
  if (op.slope == 0) {
    add("Relu", node.layer, in, name(node.out[0]));
    return;
  }
  set_attribute(add("LeakyRelu", node.layer, in, name(node.out[0])), "alpha",
                static_cast<float>(op.slope));
}

void GraphWriter::write(const Eltwise& op, const Node& node) {
  std::vector<std::string> in;
  for (size_t i = 0; i < node.in.size(); ++i) {
    in.push_back(name(node.in[i]));
    if (op.coeff.empty() || op.coeff[i] == 1) continue;
    const std::string number = std::to_string(i);
    const std::string coeff =
        floats(node.layer + "/coeff" + number, {}, {static_cast<float>(op.coeff[i])});
    const std::string term = inner(node, "term" + number);
    add("Mul", node.layer + "/term" + number, {in.back(), coeff}, term);
    in.back() = term;
  }
  const std::string& result = name(node.out[0]);
  if (op.kind == Eltwise::Kind::max) {
    add("Max", node.layer, in, result);
  } else if (op.kind == Eltwise::Kind::sum) {
    add(in.size() == 2 ? "Add" : "Sum", node.layer, in, result);
  } else {
    std::string product = in[0];
    for (size_t i = 1; i < in.size(); ++i) {
      const std::string next = i + 1 == in.size() ? result : inner(node, "product");
      add("Mul", node.layer, {product, in[i]}, next);
      product = next;
    }
  }
}

PoolingAxis pooling_axis(const Pooling& op, size_t axis, int64_t in, int64_t out) {
  const int64_t kernel = op.kernel[axis], stride = op.stride[axis], pad = op.pad[axis];
  PoolingAxis result;
  for (int64_t i = 0; i < out; ++i) {
    const int64_t begin = i * stride - pad;
    result.divisors.push_back(std::min(begin + kernel, in + pad) - begin);
    result.full = result.full && result.divisors.back() == kernel;
    result.end_pad = std::max(result.end_pad, begin + kernel - in);
  }
  return result;
}

void GraphWriter::write(const Pooling& op, const Node& node) {
  const Shape &src = shape(node.in[0]), &dst = shape(node.out[0]);
  const bool max = op.kind == Pooling::Kind::max;
  const std::string& result = name(node.out[0]);
  if (op.kernel == Pair{src[2], src[3]} && op.pad == Pair{0, 0}) {
    add(max ? "GlobalMaxPool" : "GlobalAveragePool", node.layer, {name(node.in[0])}, result);
    return;
  }
  // Padding behind the image, as far as the last window reaches, in place of rounding up: runtimes disagree
  // about windows that ceil_mode adds.
  const PoolingAxis rows = pooling_axis(op, 0, src[2], dst[2]);
  const PoolingAxis columns = pooling_axis(op, 1, src[3], dst[3]);
  const bool full = rows.full && columns.full, padded = op.pad != Pair{0, 0};
  // An ONNX average divides by all of the window, or by its part inside the image. Caffe's counts padding
  // up to `pad` only; where that is neither, a product corrects the divisor.
  const bool corrected = !max && !full && padded;
  const std::string pooled = corrected ? inner(node, "pooled") : result;
  NodeProto& pool = add(max ? "MaxPool" : "AveragePool", node.layer, {name(node.in[0])}, pooled);
  set_attribute(pool, "kernel_shape", list(op.kernel));
  set_attribute(pool, "strides", list(op.stride));
  set_attribute(pool, "pads",
                std::vector<int64_t>{op.pad[0], op.pad[1], rows.end_pad, columns.end_pad});
  if (!max) set_attribute(pool, "count_include_pad", int64_t{full || padded});
  if (!corrected) return;
  std::vector<float> factors;
  for (const int64_t row : rows.divisors) {
    for (const int64_t column : columns.divisors) {
      factors.push_back(static_cast<float>(static_cast<double>(op.kernel[0] * op.kernel[1]) /
                                           static_cast<double>(row * column)));
    }
  }
  add("Mul", node.layer + "/correction",
      {pooled, floats(node.layer + "/factors", {1, 1, dst[2], dst[3]}, factors)}, result);
}

void GraphWriter::write(const InnerProduct& op, const Node& node) {
  std::string src = name(node.in[0]);
  if (shape(node.in[0]).rank() != 2 || op.axis != 1) {
    const std::string flat = inner(node, "flat");
    set_attribute(add("Flatten", node.layer + "/flatten", {src}, flat), "axis", int64_t{op.axis});
    src = flat;
  }
  std::vector<std::string> in{src, parameter(node.in[1])};
  if (op.bias) in.push_back(parameter(node.in[2]));
  const bool reshaped = op.axis != 1;
  const std::string product = reshaped ? inner(node, "product") : name(node.out[0]);
  set_attribute(add("Gemm", node.layer, in, product), "transB", int64_t{!op.transpose});
  if (reshaped) add_reshape(node.layer + "/reshape", product, node.out[0]);
}

void GraphWriter::write(const Softmax& op, const Node& node) {
  set_attribute(add("Softmax", node.layer, {name(node.in[0])}, name(node.out[0])), "axis",
                int64_t{op.axis});
}

void GraphWriter::write(const Concat& op, const Node& node) {
  std::vector<std::string> in;
  for (const ValueId value : node.in) in.push_back(name(value));
  set_attribute(add("Concat", node.layer, in, name(node.out[0])), "axis", int64_t{op.axis});
}

void GraphWriter::write(const Reshape&, const Node& node) {
  const Shape &src = shape(node.in[0]), &dst = shape(node.out[0]);
  if (dst.rank() == 2 && src.rank() > 1 && src[0] == dst[0]) {
    set_attribute(add("Flatten", node.layer, {name(node.in[0])}, name(node.out[0])), "axis",
                  int64_t{1});
  } else {
    add_reshape(node.layer, name(node.in[0]), node.out[0]);
  }
}

void GraphWriter::write(const IdentityShortcut& op, const Node& node) {
  const Shape &src = shape(node.in[0]), &dst = shape(node.out[0]);
  const int64_t appended = dst[1] - src[1];
  const std::string& result = name(node.out[0]);
  std::string value = name(node.in[0]);
  if (op.stride > 1) {
    const std::string sliced = appended == 0 ? result : inner(node, "sliced");
    add("Slice", node.layer + "/slice",
        {value, ints(node.layer + "/starts", {0, 0}), ints(node.layer + "/ends", {src[2], src[3]}),
         ints(node.layer + "/axes", {2, 3}), ints(node.layer + "/steps", {op.stride, op.stride})},
        sliced);
    value = sliced;
  }
  if (appended > 0) {
    add("Pad", node.layer,
        {value, ints(node.layer + "/pads", {0, 0, 0, 0, 0, appended, 0, 0}),
         floats(node.layer + "/zero", {}, {0.0F})},
        result);
  } else if (op.stride == 1) {
    add("Identity", node.layer, {value}, result);
  }
}

}  // namespace resnet::onnx
