#include <algorithm>
#include <cmath>
#include <limits>

#include "exchange/onnx_evaluate.h"
#include "resnet/base/parallel.h"

namespace resnet::onnx {
namespace {

HostArray array_of(const Shape& shape) {
  constexpr int64_t kMost = int64_t{1} << 28;
  need(shape.count() <= kMost, "makes an array of shape " + shape.str());
  return {shape, std::vector<float>(static_cast<size_t>(shape.count()))};
}

// Steps in memory along each axis of a row-major array.
std::vector<int64_t> strides_of(const Shape& shape) {
  std::vector<int64_t> strides;
  strides.reserve(static_cast<size_t>(shape.rank()));
  for (int axis = 0; axis < shape.rank(); ++axis) strides.push_back(shape.count_from(axis + 1));
  return strides;
}

// visit(i, j) for each element i of `shape` in order, where j = offset + sum of its indices * steps.
template <class Visit>
void for_elements(const Shape& shape, int64_t offset, const std::vector<int64_t>& steps,
                  const Visit& visit) {
  std::vector<int64_t> index(steps.size(), 0);
  int64_t j = offset;
  for (int64_t i = 0; i < shape.count(); ++i) {
    visit(static_cast<size_t>(i), static_cast<size_t>(j));
    for (auto axis = static_cast<int>(steps.size()) - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      j += steps[a];
      if (++index[a] < shape[axis]) break;
      j -= index[a] * steps[a];
      index[a] = 0;
    }
  }
}

void need_image(const HostArray& x) {
  need(x.shape.rank() == 4, "wants (N,C,H,W), not " + x.shape.str());
}

}  // namespace

void Window::check() const {
  need(kernel.size() == 2 && strides.size() == 2 && pads.size() == 4 && dilations.size() == 2,
       "is not for images");
  const auto positive = [](int64_t value) { return value >= 1 && value < (int64_t{1} << 31); };
  const auto fine = [](int64_t value) { return value >= 0 && value < (int64_t{1} << 31); };
  need(std::all_of(kernel.begin(), kernel.end(), positive) &&
           std::all_of(strides.begin(), strides.end(), positive) &&
           std::all_of(dilations.begin(), dilations.end(), positive) &&
           std::all_of(pads.begin(), pads.end(), fine),
       "has windows that are not possible");
}

int64_t Window::output_extent(size_t axis, int64_t in) const {
  const int64_t room =
      in + pads[axis] + pads[axis + 2] - (dilations[axis] * (kernel[axis] - 1) + 1);
  need(room >= 0, "has windows larger than its input");
  return room / strides[axis] + 1;
}

HostArray conv(const HostArray& x, const HostArray& weights, const HostArray* bias,
               const Window& window, int64_t groups) {
  need_image(x);
  need(weights.shape.rank() == 4 && groups >= 1 && weights.shape[0] % groups == 0 &&
           weights.shape[1] * groups == x.shape[1],
       "has weights " + weights.shape.str() + " for " + x.shape.str());
  need(weights.shape[2] == window.kernel[0] && weights.shape[3] == window.kernel[1],
       "states another kernel than its weights have");
  const int64_t outputs = weights.shape[0], depth = weights.shape[1];
  need(bias == nullptr || bias->shape == Shape{outputs}, "has a bias of another size");
  int64_t h = x.shape[2], w = x.shape[3];
  int64_t oh = window.output_extent(0, h), ow = window.output_extent(1, w);
  HostArray y = array_of({x.shape[0], outputs, oh, ow});
  const std::vector<int64_t> ones{1, 1}, zeros{0, 0, 0, 0};
  if (window.kernel == ones && window.strides == ones && window.pads == zeros) {
    w *= h;  // a row for the whole plane, which is faster
    ow *= oh;
    h = oh = 1;
  }

  // One plane of the result: a row of it gets a row of the image, times a weight, at a time.
  const auto compute_plane = [&](int64_t n, int64_t o) {
    float* const out = y.data.data() + (n * outputs + o) * oh * ow;
    std::fill(out, out + oh * ow, bias == nullptr ? 0.0F : bias->data[static_cast<size_t>(o)]);
    const int64_t first = o / (outputs / groups) * depth;  // channel of the image
    for (int64_t c = 0; c < depth; ++c) {
      const float* const in = x.data.data() + (n * x.shape[1] + first + c) * h * w;
      const float* const taps =
          weights.data.data() + (o * depth + c) * window.kernel[0] * window.kernel[1];
      for (int64_t i = 0; i < window.kernel[0]; ++i) {
        for (int64_t j = 0; j < window.kernel[1]; ++j) {
          const float tap = taps[i * window.kernel[1] + j];
          const int64_t s = window.strides[1], left = j * window.dilations[1] - window.pads[1];
          const int64_t begin = left >= 0 ? 0 : (-left + s - 1) / s;
          const int64_t end = std::min(ow, w - left <= 0 ? 0 : (w - left - 1) / s + 1);
          for (int64_t row = 0; row < oh; ++row) {
            const int64_t from = row * window.strides[0] + i * window.dilations[0] - window.pads[0];
            if (from < 0 || from >= h) continue;
            const float* const src = in + from * w + left;
            float* const dst = out + row * ow;
            if (s == 1) {
              for (int64_t q = begin; q < end; ++q) dst[q] += tap * src[q];
            } else {
              for (int64_t q = begin; q < end; ++q) dst[q] += tap * src[q * s];
            }
          }
        }
      }
    }
  };
  parallel_for(x.shape[0] * outputs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t plane = begin; plane < end; ++plane) {
      compute_plane(plane / outputs, plane % outputs);
    }
  });
  return y;
}

HostArray pool(const HostArray& x, const Window& window, Pool kind) {
  need_image(x);
  const int64_t h = x.shape[2], w = x.shape[3];
  const int64_t oh = window.output_extent(0, h), ow = window.output_extent(1, w);
  const auto full = static_cast<double>(window.kernel[0] * window.kernel[1]);
  HostArray y = array_of({x.shape[0], x.shape[1], oh, ow});
  float* out = y.data.data();
  for (int64_t plane = 0; plane < x.shape[0] * x.shape[1]; ++plane) {
    const float* const in = x.data.data() + plane * h * w;
    for (int64_t row = 0; row < oh; ++row) {
      for (int64_t column = 0; column < ow; ++column) {
        double sum = 0, largest = -std::numeric_limits<double>::infinity();
        int64_t count = 0;
        for (int64_t i = 0; i < window.kernel[0]; ++i) {
          for (int64_t j = 0; j < window.kernel[1]; ++j) {
            const int64_t r = row * window.strides[0] + i - window.pads[0];
            const int64_t c = column * window.strides[1] + j - window.pads[1];
            if (r < 0 || r >= h || c < 0 || c >= w) continue;
            const double value = in[r * w + c];
            sum += value;
            largest = std::max(largest, value);
            ++count;
          }
        }
        const double divisor = kind == Pool::average ? static_cast<double>(count) : full;
        *out++ = static_cast<float>(kind == Pool::max ? largest : sum / divisor);
      }
    }
  }
  return y;
}

HostArray batch_normalization(const HostArray& x, const HostArray& gamma, const HostArray& beta,
                              const HostArray& mean, const HostArray& variance, double eps) {
  need(x.shape.rank() >= 2, "wants channels, not " + x.shape.str());
  const int64_t channels = x.shape[1], size = x.shape.count_from(2);
  for (const HostArray* values : {&gamma, &beta, &mean, &variance}) {
    need(values->shape == Shape{channels}, "has values for another number of channels");
  }
  HostArray y = x;
  for (int64_t plane = 0; plane < x.shape[0] * channels; ++plane) {
    const auto c = static_cast<size_t>(plane % channels);
    const double scale = gamma.data[c] / std::sqrt(variance.data[c] + eps);
    for (int64_t i = plane * size; i < (plane + 1) * size; ++i) {
      float& value = y.data[static_cast<size_t>(i)];
      value =
          static_cast<float>((value - static_cast<double>(mean.data[c])) * scale + beta.data[c]);
    }
  }
  return y;
}

HostArray gemm(const HostArray& a, const HostArray& b, const HostArray* c, bool transpose_b) {
  need(a.shape.rank() == 2 && b.shape.rank() == 2, "wants matrices");
  const int64_t rows = a.shape[0], terms = a.shape[1], columns = b.shape[transpose_b ? 0 : 1];
  need(b.shape[transpose_b ? 1 : 0] == terms,
       "multiplies " + a.shape.str() + " with " + b.shape.str());
  need(c == nullptr || c->shape == Shape{columns}, "has a bias of another size");
  HostArray y = array_of({rows, columns});
  const int64_t step = transpose_b ? 1 : columns;
  parallel_for(columns, 1, [&](int64_t begin, int64_t end) {
    for (int64_t column = begin; column < end; ++column) {
      const float* const factors = b.data.data() + (transpose_b ? column * terms : column);
      for (int64_t row = 0; row < rows; ++row) {
        double sum = c == nullptr ? 0 : c->data[static_cast<size_t>(column)];
        const float* const values = a.data.data() + row * terms;
        for (int64_t k = 0; k < terms; ++k) {
          sum += static_cast<double>(values[k]) * factors[k * step];
        }
        y.data[static_cast<size_t>(row * columns + column)] = static_cast<float>(sum);
      }
    }
  });
  return y;
}

HostArray softmax(const HostArray& x, int axis) {
  need(axis >= 0 && axis < x.shape.rank(), "has an axis that is not there");
  const int64_t inner = x.shape.count_from(axis + 1), classes = x.shape[axis];
  HostArray y = x;
  for (int64_t i = 0; i < x.shape.count(); ++i) {
    if (i / inner % classes != 0) continue;
    const auto value = [&](int64_t k) -> float& {
      return y.data[static_cast<size_t>(i + k * inner)];
    };
    double largest = value(0), sum = 0;
    for (int64_t k = 1; k < classes; ++k) largest = std::max<double>(largest, value(k));
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(value(k) - largest);
    for (int64_t k = 0; k < classes; ++k) {
      value(k) = static_cast<float>(std::exp(value(k) - largest) / sum);
    }
  }
  return y;
}

HostArray concat(const std::vector<const HostArray*>& in, int axis) {
  need(!in.empty() && axis >= 0 && axis < in[0]->shape.rank(), "has an axis that is not there");
  Shape shape = in[0]->shape;
  shape[axis] = 0;
  for (const HostArray* x : in) {
    need(x->shape.rank() == shape.rank(), "joins " + shape.str() + " with " + x->shape.str());
    Shape others = x->shape;
    others[axis] = shape[axis];
    need(others == shape, "joins " + shape.str() + " with " + x->shape.str());
    shape[axis] += x->shape[axis];
  }
  HostArray y = array_of(shape);
  int64_t offset = 0;
  for (const HostArray* x : in) {
    for_elements(x->shape, offset, strides_of(shape),
                 [&](size_t i, size_t j) { y.data[j] = x->data[i]; });
    offset += x->shape.count_from(axis);
  }
  return y;
}

HostArray slice(const HostArray& x, const std::vector<int64_t>& starts,
                const std::vector<int64_t>& ends, const std::vector<int64_t>& axes,
                const std::vector<int64_t>& steps) {
  const size_t count = axes.size();
  need(starts.size() == count && ends.size() == count && steps.size() == count,
       "has lists of different lengths");
  Shape shape = x.shape;
  std::vector<int64_t> strides = strides_of(x.shape);
  int64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    need(axes[i] >= 0 && axes[i] < shape.rank(), "has an axis that is not there");
    const auto axis = static_cast<int>(axes[i]);
    const int64_t extent = x.shape[axis];
    need(std::count(axes.begin(), axes.end(), axes[i]) == 1, "names an axis twice");
    need(starts[i] >= 0 && starts[i] <= ends[i] && ends[i] <= extent && steps[i] >= 1 &&
             steps[i] <= extent,
         "takes a part that is not there");
    shape[axis] = (ends[i] - starts[i] + steps[i] - 1) / steps[i];
    offset += starts[i] * strides[static_cast<size_t>(axis)];
    strides[static_cast<size_t>(axis)] *= steps[i];
  }
  HostArray y = array_of(shape);
  for_elements(shape, offset, strides, [&](size_t i, size_t j) { y.data[i] = x.data[j]; });
  return y;
}

HostArray pad(const HostArray& x, const std::vector<int64_t>& pads) {
  const auto rank = static_cast<size_t>(x.shape.rank());
  need(pads.size() == 2 * rank, "has pads for another number of axes");
  Shape shape = x.shape;
  for (size_t i = 0; i < rank; ++i) {
    constexpr int64_t kMost = int64_t{1} << 31;
    need(pads[i] >= 0 && pads[i + rank] >= 0 && pads[i] < kMost && pads[i + rank] < kMost,
         "has pads that are not possible");
    shape[static_cast<int>(i)] += pads[i] + pads[i + rank];
  }
  const std::vector<int64_t> strides = strides_of(shape);
  int64_t offset = 0;
  for (size_t i = 0; i < rank; ++i) offset += pads[i] * strides[i];
  HostArray y = array_of(shape);
  for_elements(x.shape, offset, strides, [&](size_t i, size_t j) { y.data[j] = x.data[i]; });
  return y;
}

Shape common_shape(const Shape& a, const Shape& b) {
  const Shape &longer = a.rank() >= b.rank() ? a : b, &shorter = a.rank() >= b.rank() ? b : a;
  Shape shape = longer;
  for (int i = 1; i <= shorter.rank(); ++i) {
    int64_t& dim = shape[shape.rank() - i];
    const int64_t other = shorter[shorter.rank() - i];
    need(dim == other || dim == 1 || other == 1, "combines " + a.str() + " with " + b.str());
    dim = dim == 1 ? other : dim;
  }
  return shape;
}

HostArray expanded(const HostArray& x, const Shape& shape) {
  if (x.shape == shape) return x;
  std::vector<int64_t> steps = strides_of(x.shape);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (x.shape[static_cast<int>(i)] == 1) steps[i] = 0;
  }
  steps.insert(steps.begin(), static_cast<size_t>(shape.rank()) - steps.size(), 0);
  HostArray y = array_of(shape);
  for_elements(shape, 0, steps, [&](size_t i, size_t j) { y.data[i] = x.data[j]; });
  return y;
}

}  // namespace resnet::onnx
