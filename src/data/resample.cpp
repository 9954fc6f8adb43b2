#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/resample_kernels.h"

namespace resnet {
namespace {

// The weights of source pixels for a run of output pixels along one axis: output i reads `taps` pixels
// from first[i] on, the last ones with weight zero where it needs fewer. Value is Fixed or float.
template <class Value>
struct Axis {
  int64_t taps = 0;
  std::vector<int64_t> first;
  std::vector<Value> weights;  // `taps` for each output

  const Value* weights_of(int64_t i) const { return weights.data() + i * taps; }
};

struct Span {
  double centre;
  int64_t first, end;  // source pixels of output `at`, relative to the box
};

Span span_of(int64_t at, double factor, int64_t box) {
  const double radius = std::max(factor, 1.0);
  const double centre = (static_cast<double>(at) + 0.5) * factor;
  const auto first = static_cast<int64_t>(std::floor(centre - radius + 0.5));
  const auto end = static_cast<int64_t>(std::floor(centre + radius + 0.5));
  return {centre, std::max<int64_t>(first, 0), std::min(end, box)};
}

double factor_of(int64_t box, int64_t scaled) {
  return static_cast<double>(box) / static_cast<double>(scaled);
}

// Enough for every span. It does not depend on the window, so that windows get the same sums.
int64_t taps_of(double factor) {
  return 2 * static_cast<int64_t>(std::ceil(std::max(factor, 1.0)));
}

void set_weights(const std::vector<double>& shares, double sum, float* weights) {
  for (const double share : shares) *weights++ = static_cast<float>(share / sum);
}

// Rounded so that their sum is one, but for a single weight of one, which is 1/65536 less.
void set_weights(const std::vector<double>& shares, double sum, Fixed* weights) {
  const double factor = 65536 / sum;
  double part = 0;
  int64_t begin = 0;
  for (const double share : shares) {
    part += share;
    const auto end = static_cast<int64_t>(std::floor(factor * part + 0.5));
    *weights++ = static_cast<Fixed>(std::min<int64_t>(end - begin, 65535));
    begin = end;
  }
}

// Outputs [begin, begin + outputs) of `scaled`; source pixels are counted from `origin`.
template <class Value>
void make_axis(int64_t box, int64_t scaled, int64_t begin, int64_t outputs, int64_t origin,
               Axis<Value>* out) {
  std::vector<double> shares;
  const double factor = factor_of(box, scaled), radius = std::max(factor, 1.0);
  out->taps = taps_of(factor);
  out->first.resize(static_cast<size_t>(outputs));
  out->weights.assign(static_cast<size_t>(outputs * out->taps), Value{});
  for (int64_t i = 0; i < outputs; ++i) {
    const Span span = span_of(begin + i, factor, box);
    shares.clear();
    double sum = 0;
    for (int64_t pixel = span.first; pixel < span.end; ++pixel) {
      const double distance = std::abs(static_cast<double>(pixel) + 0.5 - span.centre);
      shares.push_back(std::max(0.0, radius - distance));
      sum += shares.back();
    }
    out->first[static_cast<size_t>(i)] = span.first - origin;
    set_weights(shares, sum, out->weights.data() + i * out->taps);
  }
}

// For add_pixels(): each weight four times, and further outputs without weight.
template <class Value>
void spread(Axis<Value>* axis) {
  const size_t outputs = (axis->first.size() + kOutputs - 1) / kOutputs * kOutputs;
  std::vector<Value> spread(4 * static_cast<size_t>(axis->taps) * outputs);
  for (size_t i = 0; i < axis->weights.size(); ++i) {
    std::fill_n(spread.begin() + static_cast<int64_t>(4 * i), 4, axis->weights[i]);
  }
  axis->first.resize(outputs);
  axis->weights = std::move(spread);
}

template <class Value>
class Rows : public ScaledRows {
 public:
  Rows(const Pixels& from, const Scaling& scaling, const Rect& window)
      : from_(from), part_(source_part(scaling, window)), top_(window.top) {
    const Rect& box = scaling.box;
    make_axis(box.height, scaling.height, window.top, window.height, -box.top, &down_);
    make_axis(box.width, scaling.width, window.left, window.width, part_.left - box.left, &right_);
    spread(&right_);
    // Taps of weight zero may reach beyond the part.
    sums_.resize(static_cast<size_t>(4 * (part_.width + right_.taps)));
    line_.resize(right_.first.size());
    rows_.resize(static_cast<size_t>(down_.taps));
  }

  const uint32_t* row(int64_t y) override {
    const int64_t i = y - top_;
    const Value* weights = down_.weights_of(i);
    int64_t taps = down_.taps;
    while (taps > 1 && weights[taps - 1] == 0) --taps;
    for (int64_t k = 0; k < taps; ++k) {
      rows_[static_cast<size_t>(k)] = reinterpret_cast<const uint8_t*>(
          from_.row(down_.first[static_cast<size_t>(i)] + k) + (part_.left - from_.part.left));
    }
    add_rows(rows_.data(), weights, taps, 4 * part_.width, sums_.data());
    add_pixels(sums_.data(), right_.first.data(), right_.weights.data(), right_.taps,
               static_cast<int64_t>(line_.size()), line_.data());
    return line_.data();
  }

 private:
  const Pixels& from_;
  const Rect part_;  // what of `from` is read
  const int64_t top_;
  Axis<Value> down_, right_;
  std::vector<Value> sums_;     // of rows, for one row of outputs
  std::vector<uint32_t> line_;  // outputs
  std::vector<const uint8_t*> rows_;
};

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

std::unique_ptr<ScaledRows> scaled_rows(const Pixels& from, const Scaling& scaling,
                                        const Rect& window) {
  const int64_t taps = std::max(taps_of(factor_of(scaling.box.height, scaling.height)),
                                taps_of(factor_of(scaling.box.width, scaling.width)));
  if (taps <= kMostFixedTaps) return std::make_unique<Rows<Fixed>>(from, scaling, window);
  return std::make_unique<Rows<float>>(from, scaling, window);
}

void resample(const Pixels& from, const Scaling& scaling, const Rect& window, Pixels* out) {
  const std::unique_ptr<ScaledRows> rows = scaled_rows(from, scaling, window);
  out->reset(window);
  for (int64_t y = window.top; y < window.bottom(); ++y) {
    std::copy_n(rows->row(y), window.width, out->row(y));
  }
}

}  // namespace resnet
