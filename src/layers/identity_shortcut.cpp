#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const IdentityShortcutParameter& p = b.param().identity_shortcut_param();
  const Shape& src = shape_of(b, 0);
  require(src.rank() == 4, "the bottom must have the shape (N,C,H,W), got " + src.str());
  IdentityShortcut op;
  op.stride = p.stride();
  op.num_output = p.has_num_output() ? p.num_output() : src[1];
  b.output(0, b.emit(op, {b.input(0)})[0]);
}

}  // namespace

const LayerType kIdentityShortcutLayer{
    "IdentityShortcut", kOne, kOne,
    R"(Option A of He et al. 2015 (section 3.3): the identity across a change of dimensions, without parameters.

    y[n,c,i,j] = x[n, c, i*stride, j*stride] for c < C, 0 for the appended channels

(N,C,H,W) becomes (N, `num_output`, ceil(H / `stride`), ceil(W / `stride`)). `stride` is 1 and `num_output`
is C by default. A layer of our own: Caffe has no such type.)",
    build};

}  // namespace resnet::layers
