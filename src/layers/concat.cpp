#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const ConcatParameter& p = b.param().concat_param();
  require(!p.has_axis() || !p.has_concat_dim(), "both axis and concat_dim are set; keep axis");
  const int axis = p.has_concat_dim() ? static_cast<int>(p.concat_dim()) : p.axis();
  b.output(0, b.emit(Concat{shape_of(b, 0).canonical_axis(axis)}, inputs_of(b))[0]);
}

}  // namespace

const LayerType kConcatLayer{
    "Concat", at_least(1), kOne,
    R"(Joins bottoms along `axis` (default 1; `concat_dim` is its older name); all other dimensions agree.)",
    build};

}  // namespace resnet::layers
