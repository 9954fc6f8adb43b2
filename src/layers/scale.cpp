#include "layers/builtin.h"

namespace resnet::layers {
namespace {

// The dims of `src` that gamma covers.
Shape gamma_shape(const ScaleParameter& p, const Shape& src, int axis) {
  const int count = p.num_axes() == -1 ? src.rank() - axis : p.num_axes();
  require(count >= 0, "scale_param.num_axes is " + std::to_string(p.num_axes()) +
                          "; it must be -1 (all axes from `axis` on) or at least 0");
  require(count <= src.rank() - axis, "gamma covers " + std::to_string(count) + " axes from axis " +
                                          std::to_string(axis) + " on, beyond the shape " +
                                          src.str() + "; lower axis or num_axes");
  const std::vector<int64_t> dims = src.dims();
  return Shape(std::vector<int64_t>(dims.begin() + axis, dims.begin() + axis + count));
}

void build(LayerBuilder& b) {
  const ScaleParameter& p = b.param().scale_param();
  require(b.num_inputs() == 1,
          "Scale with two bottoms (a computed gamma) is not supported; only a learned gamma is");
  const Shape& src = shape_of(b, 0);
  const int axis = src.canonical_axis(p.axis());
  const Shape shape = gamma_shape(p, src, axis);
  FillerParameter ones;
  ones.set_type("constant");
  ones.set_value(1);

  const Scale op{.axis = axis, .num_axes = shape.rank(), .bias = p.bias_term()};
  std::vector<ValueId> in{b.input(0), b.weight("gamma", shape, p.has_filler() ? p.filler() : ones)};
  if (op.bias) in.push_back(b.weight("beta", shape, p.bias_filler()));
  b.output(0, b.emit(op, in)[0]);
}

}  // namespace

const LayerType kScaleLayer{
    "Scale",
    {1, 2},
    kOne,
    R"(y = gamma x, plus beta with `bias_term: true`. gamma covers the axes [`axis`, `axis` + `num_axes`) of
the bottom (default: the channels; -1: all from `axis` on) and is repeated over the others. Blobs: gamma
(`filler`, constant 1 by default), beta (`bias_filler`, constant 0). Both are decayed unless `decay_mult`
says otherwise.

Other than Caffe: the form with a second bottom in gamma's place is refused.)",
    build};

}  // namespace resnet::layers
