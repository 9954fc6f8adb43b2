#include <algorithm>

#include "layers/builtin.h"

namespace resnet::layers {
namespace {

void build(LayerBuilder& b) {
  const BatchNormParameter& p = b.param().batch_norm_param();
  for (const ParamSpec& spec : b.param().param()) {
    require(!spec.has_lr_mult() || spec.lr_mult() == 0,
            "a param entry has an lr_mult other than 0, but BatchNorm's blobs are statistics, not "
            "learned; write lr_mult: 0 or drop the entry");
  }
  const Shape& src = shape_of(b, 0);
  require(src.rank() >= 2, "the bottom must have channels at axis 1, got the shape " + src.str());
  const float fraction = p.moving_average_fraction();
  require(fraction >= 0 && fraction <= 1,
          "moving_average_fraction must be in [0, 1], got " + std::to_string(fraction));
  const bool train = b.phase() == TRAIN;
  const Shape per_channel{src[1]};
  const ValueId mean = b.state("mean", per_channel);
  const ValueId variance = b.state("variance", per_channel);
  const ValueId factor = b.state("factor", {1});

  BatchNorm op;
  op.eps = p.eps();
  op.global = p.has_use_global_stats() ? p.use_global_stats() : !train;
  if (op.global) {
    b.output(0, b.emit(op, {b.input(0), mean, variance, factor})[0]);
    return;
  }
  if (train) op.group_size = p.group_size();
  const std::vector<ValueId> out = b.emit(op, {b.input(0)});  // dst, saved, stats
  b.output(0, out[0]);
  if (train) {
    b.emit_into(UpdateStatistics{fraction}, {out[2]}, {mean, variance, factor});
  }
}

}  // namespace

const LayerType kBatchNormLayer{
    "BatchNorm", kOne, kOne,
    R"(Normalises each channel over images and positions: y = (x - mean) / sqrt(variance + `eps`), without
gamma and beta: a Scale layer follows for them. In TRAIN mean and variance are those of the batch, and
running sums move once per batch with f = `moving_average_fraction`:

    factor = f factor + 1;  mean = f mean + batch mean;  variance = f variance + batch variance * m/(m-1)

for m values per channel. In TEST the running sums divided by factor are used. `use_global_stats` says
which of both, whatever the phase; with true in TRAIN the statistics are constants of the gradient.
Blobs: mean (C), variance (C), factor (1): state, not learned; the
`lr_mult` of a `param` entry must be 0.

Our own `group_size`: in TRAIN the statistics are those of groups of so many consecutive images, as if
each group were on its own device; it divides the batch, and the running sums move by the mean over
groups. Other than Caffe: `use_global_stats: false` in TEST leaves the running sums alone; the bottom
has at least two dimensions.)",
    build};

}  // namespace resnet::layers
