#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "data/clones.h"

namespace resnet {
namespace {

// The weights of source pixels for a run of output pixels along one axis: output i reads `count`
// pixels from first[i] on, the last ones with weight zero where it needs fewer.
struct Axis {
  int64_t count = 0;
  std::vector<int64_t> first;
  std::vector<float> weights;  // count for each output

  const float* weights_of(int64_t i) const { return weights.data() + i * count; }
};

struct Span {
  double centre;
  int64_t first, end;  // source pixels of output `at`, relative to the box
};

Span span_of(int64_t at, double factor, int64_t box) {
  const double radius = std::max(factor, 1.0);
  const double centre = (static_cast<double>(at) + 0.5) * factor;
  const auto first = static_cast<int64_t>(centre - radius + 0.5);
  const auto end = static_cast<int64_t>(centre + radius + 0.5);
  return {centre, std::max<int64_t>(first, 0), std::min(end, box)};
}

double factor_of(int64_t box, int64_t scaled) {
  return static_cast<double>(box) / static_cast<double>(scaled);
}

// Outputs [begin, begin + outputs) of `scaled`; source pixels are counted from `origin`.
void make_axis(int64_t box, int64_t scaled, int64_t begin, int64_t outputs, int64_t origin,
               Axis* out) {
  const double factor = factor_of(box, scaled), radius = std::max(factor, 1.0);
  std::vector<Span> spans;
  out->count = 0;
  for (int64_t i = begin; i < begin + outputs; ++i) {
    spans.push_back(span_of(i, factor, box));
    out->count = std::max(out->count, spans.back().end - spans.back().first);
  }
  out->first.clear();
  out->weights.clear();
  for (const Span& span : spans) {
    double sum = 0;
    const auto weight = [&](int64_t pixel) {
      const double distance = (static_cast<double>(pixel) + 0.5 - span.centre) / radius;
      return std::max(0.0, 1 - std::abs(distance));
    };
    for (int64_t pixel = span.first; pixel < span.end; ++pixel) sum += weight(pixel);
    out->first.push_back(span.first - origin);
    for (int64_t pixel = span.first; pixel < span.end; ++pixel) {
      out->weights.push_back(static_cast<float>(weight(pixel) / sum));
    }
    out->weights.resize(out->first.size() * static_cast<size_t>(out->count), 0.0F);
  }
}

// One row of sums from kTaps rows of bytes (0: any number).
template <int kTaps>
RESNET_INLINE void sum_rows(const uint8_t* const* rows, const float* weights, int64_t taps,
                            int64_t count, float* __restrict sums) {
  if (kTaps > 0) taps = kTaps;
  for (int64_t i = 0; i < count; ++i) {
    float sum = static_cast<float>(rows[0][i]) * weights[0];
    for (int64_t k = 1; k < taps; ++k) sum += static_cast<float>(rows[k][i]) * weights[k];
    sums[i] = sum;
  }
}

RESNET_CLONES void add_rows(const uint8_t* const* rows, const float* weights, int64_t taps,
                            int64_t count, float* __restrict sums) {
  switch (taps) {
    case 1:
      return sum_rows<1>(rows, weights, taps, count, sums);
    case 2:
      return sum_rows<2>(rows, weights, taps, count, sums);
    case 3:
      return sum_rows<3>(rows, weights, taps, count, sums);
    case 4:
      return sum_rows<4>(rows, weights, taps, count, sums);
    default:
      return sum_rows<0>(rows, weights, taps, count, sums);
  }
}

using Float4 = float __attribute__((vector_size(16)));
using Float8 = float __attribute__((vector_size(32)));

RESNET_INLINE Float4 load(const float* from) {
  Float4 value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// An output row from a row of sums, four floats a pixel, two outputs at a time, plus a half for rounding.
// `weights` holds each weight four times. `out` has room for one output more than is wanted.
template <int kTaps>
RESNET_INLINE void filter(const float* sums, const Axis& axis, const float* weights,
                          float* __restrict out) {
  const int64_t taps = kTaps > 0 ? kTaps : axis.count;
  const auto outputs = static_cast<int64_t>(axis.first.size());
  for (int64_t i = 0; i < outputs; i += 2, weights += 8 * taps) {
    const float* a = sums + 4 * axis.first[static_cast<size_t>(i)];
    const float* b = sums + 4 * axis.first[static_cast<size_t>(std::min(i + 1, outputs - 1))];
    Float8 sum = Float8{} + 0.5F;
    for (int64_t k = 0; k < taps; ++k) {
      const Float8 pixels =
          __builtin_shufflevector(load(a + 4 * k), load(b + 4 * k), 0, 1, 2, 3, 4, 5, 6, 7);
      Float8 weight;
      std::memcpy(&weight, weights + 8 * k, sizeof weight);
      sum += pixels * weight;
    }
    std::memcpy(out + 4 * i, &sum, sizeof sum);
  }
}

RESNET_CLONES void filter_row(const float* sums, const Axis& axis, const float* weights,
                              float* __restrict out) {
  switch (axis.count) {
    case 2:
      return filter<2>(sums, axis, weights, out);
    case 3:
      return filter<3>(sums, axis, weights, out);
    case 4:
      return filter<4>(sums, axis, weights, out);
    default:
      return filter<0>(sums, axis, weights, out);
  }
}

RESNET_CLONES void to_bytes(const float* from, int64_t count, uint8_t* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(static_cast<int>(from[i]));
}

// The weights of two outputs at a time, tap by tap, each four times.
void spread(const Axis& axis, std::vector<float>* out) {
  const auto outputs = static_cast<int64_t>(axis.first.size());
  out->clear();
  for (int64_t i = 0; i < outputs; i += 2) {
    for (int64_t k = 0; k < axis.count; ++k) {
      out->insert(out->end(), 4, axis.weights_of(i)[k]);
      out->insert(out->end(), 4, axis.weights_of(std::min(i + 1, outputs - 1))[k]);
    }
  }
}

}  // namespace

Scaling scale_shorter_side(int64_t height, int64_t width, int64_t size) {
  const double factor = static_cast<double>(size) / static_cast<double>(std::min(height, width));
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(size, std::llround(static_cast<double>(side) * factor));
  };
  return {{0, 0, height, width}, scaled(height), scaled(width)};
}

Rect source_part(const Scaling& scaling, const Rect& window) {
  const Rect& box = scaling.box;
  if (scaling.is_identity()) {
    return {box.top + window.top, box.left + window.left, window.height, window.width};
  }
  const double down = factor_of(box.height, scaling.height);
  const double right = factor_of(box.width, scaling.width);
  const int64_t top = span_of(window.top, down, box.height).first;
  const int64_t left = span_of(window.left, right, box.width).first;
  return {box.top + top, box.left + left, span_of(window.bottom() - 1, down, box.height).end - top,
          span_of(window.right() - 1, right, box.width).end - left};
}

void resample(const Pixels& from, const Scaling& scaling, const Rect& window, Pixels* out) {
  static thread_local Axis down, right;
  static thread_local std::vector<float> sums, weights, line;
  static thread_local std::vector<const uint8_t*> rows;
  const Rect& box = scaling.box;
  const Rect part = source_part(scaling, window);
  make_axis(box.height, scaling.height, window.top, window.height, -box.top, &down);
  make_axis(box.width, scaling.width, window.left, window.width, part.left - box.left, &right);
  spread(right, &weights);
  // Taps of weight zero may reach beyond the part.
  sums.assign(static_cast<size_t>(4 * (part.width + right.count)), 0.0F);
  line.resize(static_cast<size_t>(4 * (window.width + 1)));
  rows.resize(static_cast<size_t>(down.count));
  out->reset(window);
  for (int64_t y = 0; y < window.height; ++y) {
    const float* down_weights = down.weights_of(y);
    int64_t taps = down.count;
    while (taps > 1 && down_weights[taps - 1] == 0) --taps;
    for (int64_t k = 0; k < taps; ++k) {
      rows[static_cast<size_t>(k)] = reinterpret_cast<const uint8_t*>(
          from.row(down.first[static_cast<size_t>(y)] + k) + (part.left - from.part.left));
    }
    add_rows(rows.data(), down_weights, taps, 4 * part.width, sums.data());
    filter_row(sums.data(), right, weights.data(), line.data());
    to_bytes(line.data(), 4 * window.width, reinterpret_cast<uint8_t*>(out->row(window.top + y)));
  }
}

}  // namespace resnet
