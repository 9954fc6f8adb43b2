// Ops that treat each channel by numbers of its own (BatchNorm, Scale): how a tensor is cut into
// units and chunks, and the passes that run over them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backends/onednn/implementation.h"
#include "resnet/base/half.h"

namespace resnet::onednn {

// A tensor (N,C,..) with channel blocks of `width` (1: row-major), cut into units = (group of
// images, channel block), and units into chunks of pixels that fit into the second cache. A pixel is
// `width` values. Cuts depend on shapes only: results do not depend on the number of threads.
struct ChannelBlocks {
  int64_t channels, pixels, group_images, groups, blocks, chunk_pixels, chunks;
  int width;

  ChannelBlocks(const Shape& shape, const Layout& layout, int64_t group_size);

  int64_t units() const { return groups * blocks; }
  int64_t unit_pixels() const { return group_images * pixels; }  // per channel
  int64_t padded_channels() const { return blocks * width; }

  // Calls f(offset in values, pixels) for each contiguous run of a chunk.
  template <class Function>
  void for_runs(int64_t unit, int64_t chunk, const Function& f) const {
    const int64_t group = unit / blocks, block = unit % blocks;
    const int64_t end = std::min((chunk + 1) * chunk_pixels, unit_pixels());
    for (int64_t p = chunk * chunk_pixels; p < end;) {
      const int64_t image = group * group_images + p / pixels, first = p % pixels;
      const int64_t run = std::min(pixels - first, end - p);
      f(((image * blocks + block) * pixels + first) * width, run);
      p += run;
    }
  }

  // Calls f(unit, chunk) for all in parallel.
  void for_chunks(const std::function<void(int64_t, int64_t)>& f) const;

  // prepare(unit), reduce(unit, chunk) on its chunks, finish(unit), then apply(unit, chunk); these
  // follow each other on one thread where that keeps all threads busy. reduce goes backwards: the
  // step before left the end of its output in the caches, reduce leaves the beginning.
  void reduce_and_apply(const std::function<void(int64_t)>& prepare,
                        const std::function<void(int64_t, int64_t)>& reduce,
                        const std::function<void(int64_t)>& finish,
                        const std::function<void(int64_t, int64_t)>& apply) const;

  // Calls f(unit) in parallel on the first `count` units.
  static void for_units(int64_t count, const std::function<void(int64_t)>& f);

 private:
  int64_t grain() const;  // chunks that are worth a thread
};

// Numbers per unit and channel that NormaliseRun and NormaliseBackwardRun point to: `kinds` arrays of
// `width` floats for each unit.
class UnitNumbers {
 public:
  UnitNumbers(float* data, int kinds, int width) : data_(data), kinds_(kinds), width_(width) {}
  float* operator()(int64_t unit, int kind) const {
    return data_ + (unit * kinds_ + kind) * width_;
  }
  // Channels that only pad a block keep zeros, so that the kernels write zeros there.
  void clear(int64_t unit) const { std::fill_n((*this)(unit, 0), kinds_ * width_, 0.0f); }

 private:
  float* data_;
  int kinds_, width_;
};

// dst = (src - mean) * scale + shift: kinds of numbers in the order of NormaliseRun's fields.
enum ForwardNumber { kMean, kScale, kShift, kForwardNumbers };
// Those of NormaliseBackwardRun.
enum BackwardNumber { kBackMean, kBackScale, kBackSlope, kBackShift, kBackwardNumbers };

// `run` with its pointers moved to an offset (values) and its numbers those of `unit`.
template <class T>
NormaliseRun<T> at(NormaliseRun<T> run, int64_t offset, const UnitNumbers& numbers, int64_t unit) {
  run.src += offset;
  if (run.addend != nullptr) run.addend += offset;
  run.dst += offset;
  run.mask_offset = offset;
  run.mean = numbers(unit, kMean);
  run.scale = numbers(unit, kScale);
  run.shift = numbers(unit, kShift);
  return run;
}
template <class T>
NormaliseBackwardRun<T> at(NormaliseBackwardRun<T> run, int64_t offset, const UnitNumbers& numbers,
                           int64_t unit) {
  run.diff_dst += offset;
  run.src += offset;
  run.mask_offset = offset;
  run.diff_src += offset;
  if (run.diff_addend != nullptr) run.diff_addend += offset;
  run.mean = numbers(unit, kBackMean);
  run.scale = numbers(unit, kBackScale);
  run.slope = numbers(unit, kBackSlope);
  run.shift = numbers(unit, kBackShift);
  return run;
}

// Writes the bits dst > 0 of n values (row-major tensors, whose kernels do not).
template <class T>
void write_mask(const T* dst, uint8_t* mask, int64_t n) {
  parallel_flat(n, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += 8) {
      unsigned bits = 0;
      for (int64_t k = 0; k < std::min<int64_t>(8, end - i); ++k) {
        bits |= static_cast<unsigned>(to_float(dst[i + k]) > 0) << k;
      }
      mask[i / 8] = static_cast<uint8_t>(bits);
    }
  });
}

// Scale with one number for each channel (axis 1).
Implementation implement_channel_scale(const Scale& op, const OpDesc& desc);

// Stores value in element i of an f32 or f64 tensor, or adds it.
void put(const Tensor& t, int64_t i, double value, bool accumulate);
double get(const Tensor& t, int64_t i);

}  // namespace resnet::onednn
