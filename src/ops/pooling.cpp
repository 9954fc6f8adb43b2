#include "ops/rules.h"

namespace resnet::rules {
namespace {

constexpr const char* kName = "Pooling";

int64_t output_extent(const Pooling& op, const Shape& src, int axis) {
  const auto i = static_cast<size_t>(axis);
  const int64_t in = src[2 + axis], kernel = op.kernel[i], stride = op.stride[i], pad = op.pad[i];
  const int64_t room = in + 2 * pad - kernel;
  require(room >= 0, kName,
          "kernel of extent " + std::to_string(kernel) +
              " is larger than its padded input of extent " + std::to_string(in + 2 * pad) +
              "; src has shape " + src.str());
  int64_t out = (op.ceil ? room + stride - 1 : room) / stride + 1;
  const bool padded = op.pad[0] != 0 || op.pad[1] != 0;
  if (padded && (out - 1) * stride >= in + pad) --out;
  require((out - 1) * stride < in + pad, kName,
          "the last window starts outside the input (extent " + std::to_string(in) + ", " +
              describe(op) + "); use round_mode: FLOOR");
  return out;
}

}  // namespace

Descs infer(const Pooling& op, const Descs& in) {
  check_inputs(kName, in, 1);
  const TensorDesc& src = in[0];
  require(src.shape.rank() == 4, kName, "src must be (N,C,H,W), got " + src.shape.str());
  for (size_t i = 0; i < 2; ++i) {
    require(op.kernel[i] >= 1 && op.stride[i] >= 1, kName,
            "kernel and stride must be positive, got " + describe(op));
    require(op.pad[i] >= 0 && op.pad[i] < op.kernel[i], kName,
            "pad must be in [0, kernel), got " + describe(op));
  }
  require(!op.has_index || op.kind == Pooling::Kind::max, kName, "only max pooling has an index");
  const Shape dst{src.shape[0], src.shape[1], output_extent(op, src.shape, 0),
                  output_extent(op, src.shape, 1)};
  Descs out{like(src, dst)};
  if (op.has_index) {
    const DType type = op.kernel[0] * op.kernel[1] <= 255 ? DType::u8 : DType::i32;
    out.push_back({dst, type, Layout::any()});
  }
  return out;
}

std::string describe(const Pooling& op) {
  std::string text = op.kind == Pooling::Kind::max ? "max " : "average ";
  text +=
      pair_text('k', op.kernel) + " " + pair_text('s', op.stride) + " " + pair_text('p', op.pad);
  if (!op.ceil) text += " floor";
  if (op.has_index) text += " index";
  return text;
}

std::optional<Signature> signature(const Pooling& op, Pass pass, int n) {
  if (pass == Pass::forward) return forward_signature(n, 1 + op.has_index);
  if (pass != Pass::backward) return std::nullopt;
  if (op.kind == Pooling::Kind::average) return Signature{{diff_output(0)}, {diff_input(0)}};
  if (op.has_index) return Signature{{diff_output(0), output(1)}, {diff_input(0)}};
  return std::nullopt;
}

}  // namespace resnet::rules
