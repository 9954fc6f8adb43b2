#include "backends/onednn/channelwise.h"

namespace resnet::onednn {
namespace {

constexpr int64_t kChunkValues = 32768;  // 128 KiB of floats
constexpr int64_t kGrainValues = 16384;  // work worth a thread

}  // namespace

ChannelBlocks::ChannelBlocks(const Shape& shape, const Layout& layout, int64_t group_size)
    : channels(shape[1]),
      pixels(shape.count_from(2)),
      group_images(group_size == 0 ? shape[0] : group_size),
      groups(group_size == 0 ? 1 : shape[0] / group_size),
      width(layout.kind == Layout::Kind::blocked ? layout.tag : 1) {
  blocks = (channels + width - 1) / width;
  chunk_pixels = kChunkValues / width;
  chunks = (unit_pixels() + chunk_pixels - 1) / chunk_pixels;
}

int64_t ChannelBlocks::grain() const {
  const int64_t values = std::min(chunk_pixels, unit_pixels()) * width;
  return std::max<int64_t>(1, kGrainValues / std::max<int64_t>(values, 1));
}

void ChannelBlocks::for_chunks(const std::function<void(int64_t, int64_t)>& f) const {
  parallel_for(units() * chunks, grain(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i / chunks, i % chunks);
  });
}

void ChannelBlocks::reduce_and_apply(const std::function<void(int64_t)>& prepare,
                                     const std::function<void(int64_t, int64_t)>& reduce,
                                     const std::function<void(int64_t)>& finish,
                                     const std::function<void(int64_t, int64_t)>& apply) const {
  const int64_t threads = num_threads();
  if (units() % threads == 0 || units() >= 8 * threads) {
    parallel_for(units(), (grain() + chunks - 1) / chunks, [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        prepare(unit);
        for (int64_t chunk = chunks; chunk-- > 0;) reduce(unit, chunk);
        finish(unit);
        for (int64_t chunk = 0; chunk < chunks; ++chunk) apply(unit, chunk);
      }
    });
    return;
  }
  for (int64_t unit = 0; unit < units(); ++unit) prepare(unit);
  parallel_for(units() * chunks, grain(), [&](int64_t begin, int64_t end) {
    for (int64_t i = end; i-- > begin;) reduce(i / chunks, i % chunks);
  });
  for (int64_t unit = 0; unit < units(); ++unit) finish(unit);
  for_chunks(apply);
}

void ChannelBlocks::for_units(int64_t count, const std::function<void(int64_t)>& f) {
  constexpr int64_t kGrainUnits = 16;
  parallel_for(count, kGrainUnits, [&](int64_t begin, int64_t end) {
    for (int64_t unit = begin; unit < end; ++unit) f(unit);
  });
}

void put(const Tensor& t, int64_t i, double value, bool accumulate) {
  if (t.desc.dtype == DType::f64) {
    double& element = t.as<double>()[i];
    element = accumulate ? element + value : value;
  } else {
    float& element = t.as<float>()[i];
    element = accumulate ? element + static_cast<float>(value) : static_cast<float>(value);
  }
}

double get(const Tensor& t, int64_t i) {
  return t.desc.dtype == DType::f64 ? t.as<double>()[i] : t.as<float>()[i];
}

}  // namespace resnet::onednn
