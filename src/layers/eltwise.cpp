#include "layers/builtin.h"

namespace resnet::layers {
namespace {

Eltwise::Kind kind_of(EltwiseParameter::EltwiseOp operation) {
  switch (operation) {
    case EltwiseParameter::PROD:
      return Eltwise::Kind::prod;
    case EltwiseParameter::MAX:
      return Eltwise::Kind::max;
    case EltwiseParameter::SUM:
      break;
  }
  return Eltwise::Kind::sum;
}

void build(LayerBuilder& b) {
  const EltwiseParameter& p = b.param().eltwise_param();
  Eltwise op;
  op.kind = kind_of(p.operation());
  require(p.coeff_size() == 0 || p.coeff_size() == b.num_inputs(),
          "there are " + std::to_string(p.coeff_size()) + " coeff values for " +
              std::to_string(b.num_inputs()) + " bottoms; give one per bottom or none");
  require(p.coeff_size() == 0 || op.kind == Eltwise::Kind::sum,
          "coeff works with operation: SUM only; remove it");
  op.coeff.assign(p.coeff().begin(), p.coeff().end());
  b.output(0, b.emit(op, inputs_of(b))[0]);
}

}  // namespace

const LayerType kEltwiseLayer{
    "Eltwise", at_least(2), kOne,
    R"(Combines bottoms of one shape element by element; `operation` is SUM (default; with one `coeff` per
bottom, 1 if absent), PROD or MAX. MAX sends the gradient to the winner, among equals as Caffe does.

Other than Caffe: `coeff` with MAX is refused. `stable_prod_grad` changes nothing: the gradient of PROD
never divides.)",
    build};

}  // namespace resnet::layers
