#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const FlattenParameter& p = b.param().flatten_param();
  const Shape& src = shape_of(b, 0);
  const int first = src.canonical_axis(p.axis());
  const int last = src.canonical_axis(p.end_axis());
  require(first <= last, "flatten_param.axis " + std::to_string(p.axis()) +
                             " lies behind end_axis " + std::to_string(p.end_axis()) +
                             " in the shape " + src.str() + "; swap them");
  std::vector<int64_t> dims = src.dims();
  dims.erase(dims.begin() + first, dims.begin() + last + 1);
  dims.insert(dims.begin() + first, src.count(first, last + 1));
  b.output(0, b.emit(Reshape{Shape(dims)}, {b.input(0)})[0]);
}

}  // namespace

const LayerType kFlattenLayer{
    "Flatten", kOne, kOne,
    R"(Merges the axes from `axis` (default 1) to `end_axis` (default the last) into one: (N,C,H,W) to (N, C H W).)",
    build};

}  // namespace resnet::layers
