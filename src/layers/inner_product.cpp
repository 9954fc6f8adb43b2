#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const InnerProductParameter& p = b.param().inner_product_param();
  require(p.has_num_output() && p.num_output() > 0,
          "inner_product_param has no num_output; say how many outputs to make");
  const Shape& src = shape_of(b, 0);
  InnerProduct op;
  op.num_output = p.num_output();
  op.axis = src.canonical_axis(p.axis());
  op.transpose = p.transpose();
  op.bias = p.bias_term();
  const int64_t terms = src.count_from(op.axis);
  const Shape shape = op.transpose ? Shape{terms, op.num_output} : Shape{op.num_output, terms};
  std::vector<ValueId> in{b.input(0), b.weight("weight", shape, p.weight_filler())};
  if (op.bias) in.push_back(b.weight("bias", {op.num_output}, p.bias_filler()));
  b.output(0, b.emit(op, in)[0]);
}

}  // namespace

const LayerType kInnerProductLayer{
    "InnerProduct", kOne, kOne,
    R"(y = W x + bias, for each index of the axes before `axis` (default 1: for each image); the K values from
`axis` on are one vector x. The top has the axes before `axis`, then O = `num_output`. Blobs: weight (O,K),
or (K,O) with `transpose: true`; bias (O) unless `bias_term: false`. Fillers: `weight_filler`,
`bias_filler`, both constant 0 by default.)",
    build};

}  // namespace resnet::layers
