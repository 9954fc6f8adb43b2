// SgdUpdate, ScaleBy, SquaredNorm, RecordBatch, PrepareUpdate, DrawBatch, NormaliseImages.
#include "resnet/ops/training_rules.h"

#include <algorithm>

#include "backends/onednn/implementation.h"

namespace resnet::onednn {

// Any layout: the three tensors have the same one.
Implementation implement(const SgdUpdate& op, const OpDesc& desc, Layouts& layouts) {
  if (op.copy_type != DType::f32) {
    return refuse(desc, std::string("a copy of the weights in ") + name_of(op.copy_type) +
                            "; with onednn every program derives its own");
  }
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
      const SgdRule<float> rule(op, args.in[1].as<double>());
      if (!rule.applies()) return;
      SgdRun base{};
      base.grad = args.in[0].as<float>();
      base.weights = args.out[0].as<float>();
      base.history = args.out[1].as<float>();
      base.rate = rule.rate;
      base.decay = rule.decay;
      base.momentum = rule.momentum;
      base.scale = rule.scale;
      base.nesterov = rule.nesterov;
      base.l1 = rule.l1;
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

Implementation implement(const ScaleBy& /*op*/, const OpDesc& desc, Layouts& layouts) {
  Implementation result{"", desc};
  share_layout(result, {in_slot(0), out_slot(0)});
  result.in_place = {{0, 0}};
  const int64_t n = layouts.bytes(result.desc.out[0]) / size_of(DType::f32);
  result.make = [=] {
    return own_kernel("flat", 0, [=](const KernelArgs& args) {
      const auto factor = static_cast<float>(*args.in[1].as<double>());
      const auto* src = args.in[0].as<float>();
      auto* dst = args.out[0].as<float>();
      parallel_flat(n, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) dst[i] = src[i] * factor;
      });
    });
  };
  return result;
}

// Fixed blocks, summed in order: the result does not depend on the number of threads.
Implementation implement(const SquaredNorm&, const OpDesc& desc, Layouts& layouts) {
  Implementation result{"", desc};
  share_plain_layout(result, {});
  const int64_t n = layouts.bytes(result.desc.in[0]) / size_of(DType::f32);
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  ScratchPlan scratch;
  scratch.take<double>(blocks);
  result.make = [=, bytes = scratch.bytes()] {
    return own_kernel("flat", bytes, [=](const KernelArgs& args) {
      const auto* src = args.in[0].as<float>();
      auto* sums = reinterpret_cast<double*>(args.scratch);
      parallel_for(blocks, 4, [&](int64_t from, int64_t to) {
        for (int64_t b = from; b < to; ++b) {
          double sum = 0;
          for (int64_t i = b * kBlock; i < std::min(n, (b + 1) * kBlock); ++i) {
            sum += static_cast<double>(src[i]) * src[i];
          }
          sums[b] = sum;
        }
      });
      double total = 0;
      for (int64_t b = 0; b < blocks; ++b) total += sums[b];
      *args.out[0].as<double>() = total;
    });
  };
  return result;
}

Implementation implement(const RecordBatch& op, const OpDesc& desc, Layouts& /*layouts*/) {
  Implementation result{"", desc};
  share_plain_layout(result, {});
  result.make = [op, count = desc.in[0].count()] {
    return own_kernel("plain", 0, [=](const KernelArgs& args) {
      record_batch(op, args.in[0].as<float>(), count, args.out[0].as<double>(),
                   args.out[1].as<float>());
    });
  };
  return result;
}

Implementation implement(const PrepareUpdate& op, const OpDesc& desc, Layouts& /*layouts*/) {
  Implementation result{"", desc};
  share_plain_layout(result, {});
  result.make = [op, rows = desc.in[0].shape[0]] {
    return own_kernel("plain", 0, [=](const KernelArgs& args) {
      prepare_update(op, args.in[0].as<double>(), rows,
                     op.has_norm ? args.in[1].as<double>() : nullptr, args.out[0].as<double>(),
                     args.out[1].as<double>());
    });
  };
  return result;
}

Implementation implement(const DrawBatch& /*op*/, const OpDesc& desc, Layouts& /*layouts*/) {
  return refuse(desc, "onednn holds no data sets: data layers feed it");
}

Implementation implement(const NormaliseImages& /*op*/, const OpDesc& desc, Layouts& /*layouts*/) {
  return refuse(desc, "onednn is not given pixels: data layers write floats to its memory");
}

}  // namespace resnet::onednn
