#include "ops/rules.h"

namespace resnet::rules {
namespace {

constexpr const char* kName = "Convolution";

// Extent of dst along one axis; throws when the kernel does not fit.
int64_t output_extent(const Convolution& op, const Shape& src, int axis) {
  const auto i = static_cast<size_t>(axis);
  const int64_t padded = src[2 + axis] + 2 * op.pad[i];
  const int64_t window = op.dilation[i] * (op.kernel[i] - 1) + 1;
  require(window <= padded, kName,
          "kernel of extent " + std::to_string(window) +
              " is larger than its padded input of extent " + std::to_string(padded) +
              "; src has shape " + src.str());
  return (padded - window) / op.stride[i] + 1;
}

void check_attributes(const Convolution& op, const Shape& src) {
  require(src.rank() == 4, kName, "src must be (N,C,H,W), got " + src.str());
  for (size_t i = 0; i < 2; ++i) {
    require(op.kernel[i] >= 1 && op.stride[i] >= 1 && op.dilation[i] >= 1 && op.pad[i] >= 0, kName,
            "kernel, stride and dilation must be positive and pad must not be negative, got " +
                describe(op));
  }
  require(op.num_output >= 1, kName,
          "num_output must be positive, got " + std::to_string(op.num_output));
  require(op.groups >= 1 && src[1] % op.groups == 0 && op.num_output % op.groups == 0, kName,
          "groups = " + std::to_string(op.groups) + " must divide the " + std::to_string(src[1]) +
              " input and the " + std::to_string(op.num_output) + " output channels");
}

}  // namespace

Descs infer(const Convolution& op, const Descs& in) {
  check_inputs(kName, in, 2u + op.bias + op.sum);
  const TensorDesc& src = in[0];
  check_attributes(op, src.shape);
  check_shape(kName, "weights", in[1].shape,
              Shape{op.num_output, src.shape[1] / op.groups, op.kernel[0], op.kernel[1]});
  if (op.bias) check_shape(kName, "bias", in[2].shape, Shape{op.num_output});
  const Shape dst{src.shape[0], op.num_output, output_extent(op, src.shape, 0),
                  output_extent(op, src.shape, 1)};
  if (op.sum) check_shape(kName, "addend", in.back().shape, dst);
  return {like(src, dst)};
}

std::string describe(const Convolution& op) {
  std::string text = pair_text('k', op.kernel) + " " + pair_text('s', op.stride) + " " +
                     pair_text('p', op.pad) + " o" + std::to_string(op.num_output);
  if (op.dilation != Pair{1, 1}) text += " " + pair_text('d', op.dilation);
  if (op.groups != 1) text += " g" + std::to_string(op.groups);
  if (op.bias) text += " bias";
  if (op.sum) text += " sum";
  if (op.relu) text += " relu";
  if (op.fixed_weights) text += " fixed";
  return text;
}

std::optional<Signature> signature(const Convolution& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1);
  if (op.sum || op.relu) return std::nullopt;
  if (pass == Pass::backward_data) return Signature{{diff_output(0), input(1)}, {diff_input(0)}};
  if (pass == Pass::backward_weights) {
    Signature s{{input(0), diff_output(0)}, {diff_input(1)}};
    if (op.bias) s.out.push_back(diff_input(2));
    return s;
  }
  return std::nullopt;
}

}  // namespace resnet::rules
