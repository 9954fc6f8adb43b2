#include "backends/onednn/implementation.h"

namespace resnet::onednn {

// Any layout: the three tensors have the same one.
Implementation implement(const SgdUpdate& op, const OpDesc& desc, Layouts& layouts) {
  Implementation result{"", desc};
  share_plain_layout(result, {});
  const Layout layout = result.desc.out[0].layout;
  result.desc.in[0].layout = layout;
  if (result.desc.out[1].layout != layout) {
    return refuse(desc, "history has layout " + desc.out[1].layout.str() + ", the weights have " +
                            layout.str());
  }
  const int64_t n = layouts.bytes(result.desc.out[0]) / size_of(DType::f32);
  result.make = [=] {
    const FlatKernels& flat = vector_kernels().flat;
    return own_kernel(std::string("flat:") + vector_kernels().isa, 0, [=](const KernelArgs& args) {
      const double* hyper = args.in[1].as<double>();
      SgdRun base{};
      base.grad = args.in[0].as<float>();
      base.weights = args.out[0].as<float>();
      base.history = args.out[1].as<float>();
      base.rate = static_cast<float>(hyper[0]);
      base.decay = static_cast<float>(hyper[1]);
      base.momentum = static_cast<float>(hyper[2]);
      base.scale = static_cast<float>(hyper[3]);
      base.nesterov = op.nesterov;
      base.l1 = op.l1;
      parallel_flat(n, [&](int64_t begin, int64_t end) {
        SgdRun run = base;
        run.grad += begin;
        run.weights += begin;
        run.history += begin;
        flat.sgd(run, end - begin);
      });
    });
  };
  return result;
}

}  // namespace resnet::onednn
