#include <algorithm>

#include "layers/builtin.h"
#include "layers/window.h"

namespace resnet::layers {
namespace {

Convolution read(const ConvolutionParameter& p) {
  require(p.has_num_output(), "convolution_param has no num_output; say how many channels to make");
  require(p.axis() == 1, "convolution_param.axis is " + std::to_string(p.axis()) +
                             "; only 1, the channels of (N,C,H,W), is supported");
  const auto values = [](const auto& field) {
    return std::vector<uint32_t>(field.begin(), field.end());
  };
  Convolution op;
  op.num_output = p.num_output();
  op.kernel = read_size({"kernel_size",
                         "kernel_h",
                         "kernel_w",
                         values(p.kernel_size()),
                         RESNET_IF_SET(p, kernel_h),
                         RESNET_IF_SET(p, kernel_w),
                         {}});
  op.stride = read_size({"stride", "stride_h", "stride_w", values(p.stride()),
                         RESNET_IF_SET(p, stride_h), RESNET_IF_SET(p, stride_w), 1});
  op.pad = read_size({"pad", "pad_h", "pad_w", values(p.pad()), RESNET_IF_SET(p, pad_h),
                      RESNET_IF_SET(p, pad_w), 0});
  op.dilation = read_size({"dilation", "", "", values(p.dilation()), {}, {}, 1});
  op.groups = p.group();
  op.bias = p.bias_term();
  return op;
}

void build(LayerBuilder& b) {
  const ConvolutionParameter& p = b.param().convolution_param();
  const Convolution op = read(p);
  const Shape& src = shape_of(b, 0);
  require(src.rank() == 4, "the bottom must have the shape (N,C,H,W), got " + src.str());
  const int64_t group_channels = src[1] / std::max<int64_t>(op.groups, 1);
  std::vector<ValueId> in{
      b.input(0), b.weight("weight", {op.num_output, group_channels, op.kernel[0], op.kernel[1]},
                           p.weight_filler())};
  if (op.bias) in.push_back(b.weight("bias", {op.num_output}, p.bias_filler()));
  b.output(0, b.emit(op, in)[0]);
}

}  // namespace

const LayerType kConvolutionLayer{
    "Convolution", kOne, kOne,
    R"(Cross-correlation of (N,C,H,W) with O = `num_output` kernels of C/`group` channels:

    y[n,o,i,j] = bias[o] + sum over c,u,v of weight[o,c,u,v] * x[n, c, i*stride - pad + u*dilation, ...]

The output has floor((H + 2 pad - (dilation (kernel - 1) + 1)) / stride) + 1 rows, columns likewise.
`kernel_size`, `stride`, `pad` and `dilation` take one value, or height and width; `kernel_h`,
`kernel_w`, `stride_h`, ... are the long form. Blobs: weight (O, C/group, kernel_h, kernel_w); bias (O)
unless `bias_term: false`. Fillers: `weight_filler`, `bias_filler`, both constant 0 by default.

Other than Caffe: one bottom and one top; two spatial dimensions; `axis` is 1. `engine` and
`force_nd_im2col` change nothing.)",
    build};

}  // namespace resnet::layers
