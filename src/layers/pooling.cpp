#include "layers/builtin.h"
#include "layers/window.h"

namespace resnet::layers {
namespace {

std::vector<uint32_t> once(std::optional<uint32_t> value) {
  return value ? std::vector<uint32_t>{*value} : std::vector<uint32_t>{};
}

Pooling read(const PoolingParameter& p, const Shape& src) {
  const SizeField kernel{"kernel_size",
                         "kernel_h",
                         "kernel_w",
                         once(RESNET_IF_SET(p, kernel_size)),
                         RESNET_IF_SET(p, kernel_h),
                         RESNET_IF_SET(p, kernel_w),
                         {}};
  Pooling op;
  op.kind = p.pool() == PoolingParameter::AVE ? Pooling::Kind::average : Pooling::Kind::max;
  op.ceil = p.round_mode() == PoolingParameter::CEIL;
  op.stride = read_size({"stride", "stride_h", "stride_w", once(RESNET_IF_SET(p, stride)),
                         RESNET_IF_SET(p, stride_h), RESNET_IF_SET(p, stride_w), 1});
  op.pad = read_size({"pad", "pad_h", "pad_w", once(RESNET_IF_SET(p, pad)), RESNET_IF_SET(p, pad_h),
                      RESNET_IF_SET(p, pad_w), 0});
  if (!p.global_pooling()) {
    op.kernel = read_size(kernel);
    return op;
  }
  require(kernel.both.empty() && !kernel.h && !kernel.w,
          "global_pooling takes the whole image, but a kernel size is set; remove one of both");
  require(op.pad == Pair{0, 0} && op.stride == Pair{1, 1},
          "global_pooling needs pad 0 and stride 1; remove pad and stride");
  op.kernel = {src[2], src[3]};
  return op;
}

void build(LayerBuilder& b) {
  const Shape& src = shape_of(b, 0);
  require(src.rank() == 4, "the bottom must have the shape (N,C,H,W), got " + src.str());
  Pooling op = read(b.param().pooling_param(), src);
  op.has_index = op.kind == Pooling::Kind::max && b.phase() == TRAIN;
  b.output(0, b.emit(op, {b.input(0)})[0]);
}

}  // namespace

const LayerType kPoolingLayer{
    "Pooling", kOne, kOne,
    R"(The maximum (`pool: MAX`) or the mean (`pool: AVE`) of each window of (N,C,H,W), channel by channel.
`kernel_size`, `stride` and `pad`, or `kernel_h`, `kernel_w`, ...; `global_pooling: true` takes the whole
image as the window, of whatever size. The output has (H + 2 pad - kernel) / stride + 1 rows; the division
rounds up (`round_mode: CEIL`, the default) or down (`FLOOR`). When there is padding, a last window that
would start at or beyond H + pad is dropped. MAX takes the first of equal maxima and never padding; AVE
divides by the part of the window inside the image with its padding, and padding counts as zeros.

Other than Caffe: STOCHASTIC is refused, and so is a second top (the positions of maxima).)",
    build};

}  // namespace resnet::layers
