#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// The part [begin, end) of a window that lies inside [0, extent); `divisor` also counts padding.
struct Window {
  int64_t start, begin, end, divisor;
  Window(const Pooling& op, size_t axis, int64_t position, int64_t extent)
      : start(position * op.stride[axis] - op.pad[axis]),
        begin(std::max<int64_t>(start, 0)),
        end(std::min(start + op.kernel[axis], extent)),
        divisor(std::min(start + op.kernel[axis], extent + op.pad[axis]) - start) {}
};

// Visits every window: visit(index in dst, first element of the plane in src, rows, columns).
template <class Visit>
void for_windows(const Pooling& op, const Image& src, const Image& dst, const Visit& visit) {
  for (int64_t n = 0; n < dst.n; ++n) {
    for (int64_t c = 0; c < dst.c; ++c) {
      for (int64_t y = 0; y < dst.h; ++y) {
        const Window rows(op, 0, y, src.h);
        for (int64_t x = 0; x < dst.w; ++x) {
          visit(dst.at(n, c, y, x), src.at(n, c, 0, 0), rows, Window(op, 1, x, src.w));
        }
      }
    }
  }
}

void forward_average(const Pooling& op, const OpDesc& desc, const KernelArgs& args) {
  const Image s(desc.in[0].shape), d(desc.out[0].shape);
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for_windows(op, s, d, [&](int64_t at, int64_t plane, const Window& rows, const Window& columns) {
    double sum = 0;
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) sum += src[plane + y * s.w + x];
    }
    dst.set(at, sum / static_cast<double>(rows.divisor * columns.divisor));
  });
}

void forward_max(const Pooling& op, const OpDesc& desc, const KernelArgs& args) {
  const Image s(desc.in[0].shape), d(desc.out[0].shape);
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for_windows(op, s, d, [&](int64_t at, int64_t plane, const Window& rows, const Window& columns) {
    double best = -std::numeric_limits<double>::infinity();
    int64_t index = (rows.begin - rows.start) * op.kernel[1] + columns.begin - columns.start;
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) {
        const double value = src[plane + y * s.w + x];
        if (value <= best || std::isnan(best)) continue;
        best = value;
        index = (y - rows.start) * op.kernel[1] + x - columns.start;
      }
    }
    dst.set(at, best);
    if (op.has_index) output(desc, args, 1).set(at, static_cast<double>(index));
  });
}

void backward(const Pooling& op, const OpDesc& desc, const KernelArgs& args) {
  const Image d(desc.in[0].shape), s(desc.out[0].shape);
  const In diff_dst(args.in[0]), index(args.in.back());
  std::vector<double> sums(static_cast<size_t>(desc.out[0].count()), 0.0);
  const auto sum = [&](int64_t i) -> double& { return sums[static_cast<size_t>(i)]; };
  for_windows(op, s, d, [&](int64_t at, int64_t plane, const Window& rows, const Window& columns) {
    if (op.kind == Pooling::Kind::max) {
      const auto tap = static_cast<int64_t>(index[at]);
      const int64_t y = rows.start + tap / op.kernel[1], x = columns.start + tap % op.kernel[1];
      sum(plane + y * s.w + x) += diff_dst[at];
      return;
    }
    const double share = diff_dst[at] / static_cast<double>(rows.divisor * columns.divisor);
    for (int64_t y = rows.begin; y < rows.end; ++y) {
      for (int64_t x = columns.begin; x < columns.end; ++x) sum(plane + y * s.w + x) += share;
    }
  });
  const Out diff_src = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) diff_src.set(i, sum(i));
}

}  // namespace

Implementation implement(const Pooling& op, const OpDesc& desc) {
  if (desc.pass == Pass::backward)
    return {"", [=](const KernelArgs& a) { backward(op, desc, a); }, {}};
  if (op.kind == Pooling::Kind::max) {
    return {"", [=](const KernelArgs& a) { forward_max(op, desc, a); }, {}};
  }
  return {"", [=](const KernelArgs& a) { forward_average(op, desc, a); }, {}};
}

}  // namespace resnet::reference
