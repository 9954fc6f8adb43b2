// SgdUpdate, ScaleBy, SquaredNorm, RecordBatch, PrepareUpdate, DrawBatch, NormaliseImages.
#include "resnet/ops/training_rules.h"

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

Implementation updates(Run run) { return {"", std::move(run), {}}; }

bool accumulates_any(const OpDesc& desc) {
  for (size_t i = 0; i < desc.out.size(); ++i) {
    if (desc.accumulates(i)) return true;
  }
  return false;
}

void update(const SgdUpdate& op, const OpDesc& desc, const KernelArgs& args) {
  const SgdRule<double> rule(op, args.in[1].as<double>());
  if (!rule.applies()) return;
  const In grad(args.in[0]), w(args.out[0]), h(args.out[1]);
  const Out weights = output(desc, args, 0), history = output(desc, args, 1);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) {
    const double sign = static_cast<double>(w[i] > 0) - static_cast<double>(w[i] < 0);
    const double g = rule.scale * grad[i] + rule.decay * (op.l1 ? sign : w[i]);
    const double after = rounded(desc.out[1].dtype, rule.momentum * h[i] + rule.rate * g);
    history.set(i, after);
    const double step = op.nesterov ? (1 + rule.momentum) * after - rule.momentum * h[i] : after;
    weights.set(i, w[i] - step);
    if (args.out.size() > 2) {
      output(desc, args, 2).set(i, rounded(desc.out[0].dtype, w[i] - step));
    }
  }
}

void record(const RecordBatch& op, const OpDesc& desc, const KernelArgs& args) {
  const int64_t count = desc.in[0].count();
  auto* state = args.out[0].as<double>();
  if (desc.in[0].dtype == DType::f64) {
    record_batch(op, args.in[0].as<double>(), count, state, args.out[1].as<double>());
  } else {
    record_batch(op, args.in[0].as<float>(), count, state, args.out[1].as<float>());
  }
}

}  // namespace

Implementation implement(const SgdUpdate& op, const OpDesc& desc) {
  if (accumulates_any(desc)) return refuse("weights and history are updated, not accumulated");
  return updates([=](const KernelArgs& a) { update(op, desc, a); });
}

Implementation implement(const ScaleBy&, const OpDesc& desc) {
  return {"",
          [=](const KernelArgs& args) {
            const In src(args.in[0]);
            const double factor = *args.in[1].as<double>();
            const Out dst = output(desc, args, 0);
            for (int64_t i = 0; i < desc.in[0].count(); ++i) dst.set(i, src[i] * factor);
          },
          {{0, 0}}};
}

Implementation implement(const SquaredNorm&, const OpDesc& desc) {
  return updates([=](const KernelArgs& args) {
    const In src(args.in[0]);
    double sum = 0;
    for (int64_t i = 0; i < desc.in[0].count(); ++i) sum += src[i] * src[i];
    output(desc, args, 0).set(0, sum);
  });
}

Implementation implement(const RecordBatch& op, const OpDesc& desc) {
  if (accumulates_any(desc)) return refuse("state and ring are updated, not accumulated");
  return updates([=](const KernelArgs& a) { record(op, desc, a); });
}

Implementation implement(const PrepareUpdate& op, const OpDesc& desc) {
  if (accumulates_any(desc)) return refuse("the state is updated, not accumulated");
  return updates([=](const KernelArgs& args) {
    prepare_update(op, args.in[0].as<double>(), desc.in[0].shape[0],
                   op.has_norm ? args.in[1].as<double>() : nullptr, args.out[0].as<double>(),
                   args.out[1].as<double>());
  });
}

// Single precision as data layers compute in, so that their batches are equal.
Implementation implement(const DrawBatch& op, const OpDesc& desc) {
  if (accumulates_any(desc)) return refuse("a batch is drawn, not accumulated");
  if (desc.in[1].dtype != DType::f32) return refuse("batches are drawn in f32");
  return updates([=](const KernelArgs& args) {
    const Shape& shape = desc.in[0].shape;
    const HeldImages held{args.in[0].as<uint8_t>(),
                          args.in[1].as<float>(),
                          args.in[2].as<int32_t>(),
                          args.in[3].as<float>(),
                          shape[0],
                          shape[1],
                          shape[2],
                          shape[3],
                          desc.in[3].shape.rank() == 3};
    const auto* state = args.in[4].as<double>();
    const Out data = output(desc, args, 0);
    int64_t at = 0;
    for (int64_t n = 0; n < op.batch; ++n) {
      const int64_t position = static_cast<int64_t>(state[train_state::kPosition]) + n;
      const DrawnWindow window(op, held.height, held.width,
                               static_cast<uint64_t>(state[train_state::kSeed]), position);
      const int64_t record = held.record(position);
      args.out[1].as<float>()[n] = held.labels[record];
      for (int64_t c = 0; c < held.channels; ++c) {
        for (int64_t y = 0; y < op.height; ++y) {
          for (int64_t x = 0; x < op.width; ++x) {
            data.set(at++, held.element(op, window, record, c, y, x));
          }
        }
      }
    }
  });
}

Implementation implement(const NormaliseImages& op, const OpDesc& desc) {
  if (accumulates_any(desc)) return refuse("a batch is written, not accumulated");
  if (desc.in[1].dtype != DType::f32) return refuse("images are normalised in f32");
  return updates([=](const KernelArgs& args) {
    const Shape& shape = desc.in[0].shape;
    const Out data = output(desc, args, 0);
    int64_t at = 0;
    const PlacedImages images = placed_images(op, args.in);
    for (int64_t n = 0; n < shape[0]; ++n) {
      for (int32_t c = 0; c < images.channels; ++c) {
        for (int32_t y = 0; y < images.height; ++y) {
          for (int32_t x = 0; x < images.width; ++x) {
            data.set(at++, PlacedPixel(images, n, y, x).element(c));
          }
        }
      }
    }
  });
}

}  // namespace resnet::reference
