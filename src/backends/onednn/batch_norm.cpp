// BatchNorm (with addition, ReLU and its mask), Scale of channels, and UpdateStatistics. One pass
// over memory gathers statistics, one applies them.
#include <cmath>
#include <cstring>

#include "backends/onednn/channelwise.h"

namespace resnet::onednn {
namespace {

// Where mean and deviation come from: the batch, running statistics, or they are 0 and 1 (Scale).
enum class Source { batch, running, unit };

// Positions of the operands of a pass; -1 where absent.
struct Operands {
  int diff_dst = -1, src = -1, mean = -1, variance = -1, factor = -1, saved = -1;
  int gamma = -1, beta = -1, addend = -1, mask = -1;
  int out_saved = -1, out_stats = -1, out_mask = -1;
  int diff_gamma = -1, diff_beta = -1, diff_addend = -1;

  Operands(const BatchNorm& op, Source source, Pass pass) {
    const bool forward = pass == Pass::forward, backward = pass == Pass::backward;
    const bool running = source == Source::running, batch = source == Source::batch;
    int next = 0;
    const auto take = [&next](bool present) { return present ? next++ : -1; };
    diff_dst = take(backward);
    src = take(true);
    mean = take(running);
    variance = take(running);
    factor = take(running);
    saved = take(batch && !forward);
    gamma = take(op.gamma);
    beta = take(op.beta && !backward);
    addend = take(op.add && forward);
    mask = take(op.has_mask && backward);
    next = 1;  // output 0 is dst or diff_src
    out_saved = take(batch && forward);
    out_stats = take(batch && forward);
    out_mask = take(op.has_mask && forward);
    diff_gamma = take(op.gamma && backward);
    diff_beta = take(op.beta && backward);
    diff_addend = take(op.add && op.relu && backward);
  }
};

struct Moments {
  double mean, inverse_std;
};

// What all passes share.
struct PassBase {
  BatchNorm op;
  Source source;
  OpDesc desc;
  Operands operands;
  ChannelBlocks blocks;

  PassBase(const BatchNorm& o, Source from, const OpDesc& d, const Layout& layout)
      : op(o),
        source(from),
        desc(d),
        operands(o, from, d.pass),
        blocks(d.in[static_cast<size_t>(operands.src)].shape, layout,
               from == Source::batch ? o.group_size : 0) {}

  // Operand `index`, null when it is -1.
  static const Tensor* find(std::span<const Tensor> tensors, int index) {
    return index < 0 ? nullptr : &tensors[static_cast<size_t>(index)];
  }
  template <class T>
  static T* data(std::span<const Tensor> tensors, int index) {
    return index < 0 ? nullptr : tensors[static_cast<size_t>(index)].as<T>();
  }
  bool accumulates(int output) const {
    return output >= 0 && desc.accumulates(static_cast<size_t>(output));
  }

  double gamma(const KernelArgs& args, int64_t c) const {
    const float* values = data<float>(args.in, operands.gamma);
    return values == nullptr ? 1 : values[c];
  }
  double beta(const KernelArgs& args, int64_t c) const {
    const float* values = data<float>(args.in, operands.beta);
    return values == nullptr ? 0 : values[c];
  }
  // From outside: fixed, or what forward saved.
  Moments given_moments(const KernelArgs& args, int64_t group, int64_t c) const {
    if (source == Source::unit) return {0, 1};
    if (source == Source::running) {
      const double f = get(*find(args.in, operands.factor), 0), scale = f == 0 ? 0 : 1 / f;
      const double variance = get(*find(args.in, operands.variance), c) * scale;
      return {get(*find(args.in, operands.mean), c) * scale, 1 / std::sqrt(variance + op.eps)};
    }
    const Tensor& saved = *find(args.in, operands.saved);
    return {get(saved, 2 * group * blocks.channels + c),
            get(saved, (2 * group + 1) * blocks.channels + c)};
  }

  // Calls f(lane, channel) for the channels of a unit that exist.
  template <class Function>
  void for_lanes(int64_t unit, const Function& f) const {
    const int64_t first = unit % blocks.blocks * blocks.width;
    for (int lane = 0; lane < blocks.width && first + lane < blocks.channels; ++lane) {
      f(lane, first + lane);
    }
  }
};

// forward and recompute.
class Forward : PassBase {
 public:
  Forward(const BatchNorm& o, Source from, const OpDesc& d, const Layout& layout)
      : PassBase(o, from, d, layout) {
    numbers_ = scratch_.take<float>(blocks.units() * kForwardNumbers * blocks.width);
    if (operands.out_saved < 0) return;
    chunk_moments_ = scratch_.take<double>(blocks.units() * blocks.chunks * moments_size());
    unit_moments_ = scratch_.take<double>(blocks.units() * moments_size());
  }

  int64_t scratch_bytes() const { return scratch_.bytes(); }

  template <class T>
  void run(const KernelArgs& args) const {
    const BlockKernels<T>* const kernels = block_kernels<T>(blocks.width);
    const UnitNumbers numbers(reinterpret_cast<float*>(args.scratch + numbers_), kForwardNumbers,
                              blocks.width);
    const bool writes_bits = blocks.width > 1;
    uint8_t* const mask = data<uint8_t>(args.out, operands.out_mask);
    NormaliseRun<T> base{};
    base.src = data<T>(args.in, operands.src);
    base.addend = data<T>(args.in, operands.addend);
    base.dst = data<T>(args.out, 0);
    base.mask = writes_bits ? mask : nullptr;
    base.relu = op.relu;
    base.stream = worth_streaming(base.dst, desc.out[0].bytes(), {base.src, base.addend});
    const auto apply = [&](int64_t unit, int64_t chunk) {
      blocks.for_runs(unit, chunk, [&](int64_t offset, int64_t pixels) {
        kernels->normalise(at(base, offset, numbers, unit), pixels);
      });
      vector_kernels().finish_streams();
    };
    if (operands.out_saved < 0) {
      ChannelBlocks::for_units(blocks.units(), [&](int64_t unit) {
        numbers.clear(unit);
        for_lanes(unit, [&](int lane, int64_t c) {
          set_numbers(args, numbers, unit, lane, c, given_moments(args, unit / blocks.blocks, c));
        });
      });
      blocks.for_chunks(apply);
    } else {
      blocks.reduce_and_apply([&](int64_t unit) { numbers.clear(unit); },
                              [&](int64_t unit, int64_t chunk) {
                                double* moments = chunk_moments(args, unit, chunk);
                                std::memset(moments, 0,
                                            static_cast<size_t>(moments_size()) * sizeof(double));
                                blocks.for_runs(unit, chunk, [&](int64_t offset, int64_t pixels) {
                                  kernels->moments(base.src + offset, pixels, moments);
                                });
                              },
                              [&](int64_t unit) { finish_unit(args, numbers, unit); }, apply);
      write_stats(args);
    }
    if (mask != nullptr && !writes_bits) {
      write_mask(base.dst, mask, desc.out[0].storage_count());
    }
  }

 private:
  // {count, mean[width], squared deviations[width]}
  int64_t moments_size() const { return 1 + 2 * blocks.width; }
  double* chunk_moments(const KernelArgs& args, int64_t unit, int64_t chunk) const {
    return reinterpret_cast<double*>(args.scratch + chunk_moments_) +
           (unit * blocks.chunks + chunk) * moments_size();
  }
  double* unit_moments(const KernelArgs& args, int64_t unit) const {
    return reinterpret_cast<double*>(args.scratch + unit_moments_) + unit * moments_size();
  }

  void set_numbers(const KernelArgs& args, const UnitNumbers& numbers, int64_t unit, int lane,
                   int64_t c, Moments m) const {
    numbers(unit, kMean)[lane] = static_cast<float>(m.mean);
    numbers(unit, kScale)[lane] = static_cast<float>(gamma(args, c) * m.inverse_std);
    numbers(unit, kShift)[lane] = static_cast<float>(beta(args, c));
  }

  // Merges the chunks' moments in order, saves the unit's and prepares apply.
  void finish_unit(const KernelArgs& args, const UnitNumbers& numbers, int64_t unit) const {
    double* total = unit_moments(args, unit);
    std::memcpy(total, chunk_moments(args, unit, 0),
                static_cast<size_t>(moments_size()) * sizeof(double));
    for (int64_t chunk = 1; chunk < blocks.chunks; ++chunk) {
      const double* part = chunk_moments(args, unit, chunk);
      const double count = total[0] + part[0];
      const double share = part[0] / count, cross = total[0] * share;
      for (int64_t lane = 1; lane <= blocks.width; ++lane) {
        const double delta = part[lane] - total[lane];
        total[lane] += delta * share;
        total[lane + blocks.width] += part[lane + blocks.width] + delta * delta * cross;
      }
      total[0] = count;
    }
    const Tensor& saved = *find(args.out, operands.out_saved);
    const int64_t group = unit / blocks.blocks;
    for_lanes(unit, [&](int lane, int64_t c) {
      const double variance = total[1 + blocks.width + lane] / total[0];
      const Moments m{total[1 + lane], 1 / std::sqrt(variance + op.eps)};
      put(saved, 2 * group * blocks.channels + c, m.mean, false);
      put(saved, (2 * group + 1) * blocks.channels + c, m.inverse_std, false);
      set_numbers(args, numbers, unit, lane, c, m);
    });
  }

  // Means over groups of the mean and of the unbiased variance.
  void write_stats(const KernelArgs& args) const {
    const Tensor& stats = *find(args.out, operands.out_stats);
    const auto m = static_cast<double>(blocks.unit_pixels());
    const double unbiased = m > 1 ? m - 1 : m;  // divides the sum of squared deviations
    const auto groups = static_cast<double>(blocks.groups);
    ChannelBlocks::for_units(blocks.blocks, [&](int64_t block) {
      for_lanes(block, [&](int lane, int64_t c) {
        double mean = 0, variance = 0;
        for (int64_t group = 0; group < blocks.groups; ++group) {
          const double* total = unit_moments(args, group * blocks.blocks + block);
          mean += total[1 + lane];
          variance += total[1 + blocks.width + lane] / unbiased;
        }
        put(stats, c, mean / groups, false);
        put(stats, blocks.channels + c, variance / groups, false);
      });
    });
  }

  ScratchPlan scratch_;
  int64_t numbers_ = 0, chunk_moments_ = 0, unit_moments_ = 0;
};

// With d = diff_dst where the mask is set, s = 1 / std, m elements per channel and group:
//   diff_beta = sum d, diff_gamma = s * sum d (src - mean)
//   diff_src = gamma s (d - diff_beta / m - (src - mean) s diff_gamma / m), the last two terms in
//   batch mode only.
class Backward : PassBase {
 public:
  Backward(const BatchNorm& o, Source from, const OpDesc& d, const Layout& layout)
      : PassBase(o, from, d, layout) {
    numbers_ = scratch_.take<float>(blocks.units() * kBackwardNumbers * blocks.width);
    chunk_sums_ = scratch_.take<double>(blocks.units() * blocks.chunks * sums_size());
    unit_sums_ = scratch_.take<double>(blocks.units() * sums_size());
  }

  int64_t scratch_bytes() const { return scratch_.bytes(); }

  template <class T>
  void run(const KernelArgs& args) const {
    const BlockKernels<T>* const kernels = block_kernels<T>(blocks.width);
    const UnitNumbers numbers(reinterpret_cast<float*>(args.scratch + numbers_), kBackwardNumbers,
                              blocks.width);
    NormaliseBackwardRun<T> base{};
    base.diff_dst = data<T>(args.in, operands.diff_dst);
    base.src = data<T>(args.in, operands.src);
    base.mask = data<uint8_t>(args.in, operands.mask);
    base.diff_src = data<T>(args.out, 0);
    base.diff_addend = data<T>(args.out, operands.diff_addend);
    base.accumulate_src = accumulates(0);
    base.accumulate_addend = accumulates(operands.diff_addend);
    const int64_t bytes = desc.out[0].bytes();
    const auto streams = [&](const T* out, bool accumulate) {
      return !accumulate && worth_streaming(out, bytes, {base.diff_dst, base.src});
    };
    base.stream_src = streams(base.diff_src, base.accumulate_src);
    base.stream_addend = streams(base.diff_addend, base.accumulate_addend);

    blocks.reduce_and_apply(
        [&](int64_t unit) { prepare_unit(args, numbers, unit); },
        [&](int64_t unit, int64_t chunk) {
          double* sums = chunk_sums(args, unit, chunk);
          std::memset(sums, 0, static_cast<size_t>(sums_size()) * sizeof(double));
          blocks.for_runs(unit, chunk, [&](int64_t offset, int64_t pixels) {
            kernels->normalise_sums(at(base, offset, numbers, unit), pixels, sums);
          });
        },
        [&](int64_t unit) { finish_unit(args, numbers, unit); },
        [&](int64_t unit, int64_t chunk) {
          blocks.for_runs(unit, chunk, [&](int64_t offset, int64_t pixels) {
            kernels->normalise_backward(at(base, offset, numbers, unit), pixels);
          });
          vector_kernels().finish_streams();
        });
    write_parameter_gradients(args);
  }

 private:
  // {sum of d[width], sum of d (src - mean)[width]}
  int64_t sums_size() const { return 2 * blocks.width; }
  double* chunk_sums(const KernelArgs& args, int64_t unit, int64_t chunk) const {
    return reinterpret_cast<double*>(args.scratch + chunk_sums_) +
           (unit * blocks.chunks + chunk) * sums_size();
  }
  double* unit_sums(const KernelArgs& args, int64_t unit) const {
    return reinterpret_cast<double*>(args.scratch + unit_sums_) + unit * sums_size();
  }

  // What the sums need: the mean.
  void prepare_unit(const KernelArgs& args, const UnitNumbers& numbers, int64_t unit) const {
    numbers.clear(unit);
    for_lanes(unit, [&](int lane, int64_t c) {
      numbers(unit, kBackMean)[lane] =
          static_cast<float>(given_moments(args, unit / blocks.blocks, c).mean);
    });
  }

  void finish_unit(const KernelArgs& args, const UnitNumbers& numbers, int64_t unit) const {
    double* total = unit_sums(args, unit);
    std::memset(total, 0, static_cast<size_t>(sums_size()) * sizeof(double));
    for (int64_t chunk = 0; chunk < blocks.chunks; ++chunk) {
      const double* part = chunk_sums(args, unit, chunk);
      for (int64_t i = 0; i < sums_size(); ++i) total[i] += part[i];
    }
    const auto m = static_cast<double>(blocks.unit_pixels());
    for_lanes(unit, [&](int lane, int64_t c) {
      const double s = given_moments(args, unit / blocks.blocks, c).inverse_std;
      double& product = total[blocks.width + lane];
      product *= s;  // now the unit's share of diff_gamma
      numbers(unit, kBackScale)[lane] = static_cast<float>(gamma(args, c) * s);
      if (source != Source::batch) return;
      numbers(unit, kBackSlope)[lane] = static_cast<float>(s * product / m);
      numbers(unit, kBackShift)[lane] = static_cast<float>(total[lane] / m);
    });
  }

  void write_parameter_gradients(const KernelArgs& args) const {
    const Tensor* diff_gamma = find(args.out, operands.diff_gamma);
    const Tensor* diff_beta = find(args.out, operands.diff_beta);
    ChannelBlocks::for_units(blocks.blocks, [&](int64_t block) {
      for_lanes(block, [&](int lane, int64_t c) {
        double sum = 0, product = 0;
        for (int64_t group = 0; group < blocks.groups; ++group) {
          const double* total = unit_sums(args, group * blocks.blocks + block);
          sum += total[lane];
          product += total[blocks.width + lane];
        }
        if (diff_gamma != nullptr) put(*diff_gamma, c, product, accumulates(operands.diff_gamma));
        if (diff_beta != nullptr) put(*diff_beta, c, sum, accumulates(operands.diff_beta));
      });
    });
  }

  ScratchPlan scratch_;
  int64_t numbers_ = 0, chunk_sums_ = 0, unit_sums_ = 0;
};

template <class PassKernel>
std::function<std::shared_ptr<const Kernel>()> maker(const BatchNorm& op, Source source,
                                                     const OpDesc& desc, const Layout& layout) {
  return [=] {
    const auto kernel = std::make_shared<const PassKernel>(op, source, desc, layout);
    const DType type = desc.out[0].dtype;
    Run run = for_storage(type, [&]<class T>(T) -> Run {
      return [kernel](const KernelArgs& args) { kernel->template run<T>(args); };
    });
    return own_kernel(own_impl(layout, type), kernel->scratch_bytes(), std::move(run));
  };
}

void fix_mask(OpDesc& desc, int index, const TensorDesc& dst, const Layout& layout) {
  if (index < 0) return;
  const TensorDesc stored{dst.shape, dst.dtype, layout};
  desc.out[static_cast<size_t>(index)].shape = Shape{(stored.storage_count() + 7) / 8};
}

Implementation implement_from(const BatchNorm& op, Source source, const OpDesc& desc) {
  if (op.add_stride != 0)
    return refuse(desc, "the addend of an option-A shortcut is not read strided");
  Implementation result{"", desc};
  const Operands operands(op, source, desc.pass);
  const Slot src = in_slot(operands.src);
  if (desc.pass == Pass::backward) {
    // src comes first: the mask's bits follow the layout that it had in forward.
    std::vector<Slot> activations{src, out_slot(0), in_slot(operands.diff_dst)};
    result.in_place = {{0, operands.diff_dst}, {0, operands.src}};
    if (operands.diff_addend >= 0) {
      activations.push_back(out_slot(operands.diff_addend));
      result.in_place.push_back({operands.diff_addend, operands.diff_dst});
    }
    const Layout layout = share_layout(result, activations);
    result.accumulable = {0, operands.diff_gamma, operands.diff_beta, operands.diff_addend};
    result.make = maker<Backward>(op, source, result.desc, layout);
    return result;
  }
  std::vector<Slot> activations{out_slot(0), src};
  result.in_place = {{0, operands.src}};
  if (operands.addend >= 0) {
    activations.push_back(in_slot(operands.addend));
    result.in_place.push_back({0, operands.addend});
  }
  const Layout layout = share_layout(result, activations);
  fix_mask(result.desc, operands.out_mask, desc.out[0], layout);
  result.make = maker<Forward>(op, source, result.desc, layout);
  return result;
}

}  // namespace

Implementation implement(const BatchNorm& op, const OpDesc& desc, Layouts&) {
  return implement_from(op, op.global ? Source::running : Source::batch, desc);
}

Implementation implement_channel_scale(const Scale& op, const OpDesc& desc) {
  BatchNorm same;
  same.gamma = true;
  same.beta = op.bias;
  return implement_from(same, Source::unit, desc);
}

Implementation implement(const UpdateStatistics& op, const OpDesc& desc, Layouts&) {
  Implementation result{"", desc};
  share_plain_layout(result, {});
  const double fraction = op.fraction;
  result.make = [=] {
    return own_kernel("plain", 0, [=](const KernelArgs& args) {
      const Tensor& stats = args.in[0];
      const int64_t channels = stats.desc.shape[1];
      const auto move = [&](size_t output, int64_t i, double value) {
        put(args.out[output], i, fraction * get(args.out[output], i) + value, false);
      };
      for (int64_t c = 0; c < channels; ++c) {
        move(0, c, get(stats, c));
        move(1, c, get(stats, channels + c));
      }
      move(2, 0, 1);
    });
  };
  return result;
}

}  // namespace resnet::onednn
