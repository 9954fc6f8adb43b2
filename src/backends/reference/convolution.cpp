#include <algorithm>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

// Position in src that tap `tap` of the window at `dst` reads along axis i; outside [0, extent) it
// is padding.
int64_t source(const Convolution& op, size_t i, int64_t dst, int64_t tap) {
  return dst * op.stride[i] + tap * op.dilation[i] - op.pad[i];
}

void forward(const Convolution& op, const OpDesc& desc, const KernelArgs& args) {
  Inputs in(args);
  const In src = in.take(), weights = in.take(), bias = in.take(op.bias), addend = in.take(op.sum);
  const Out dst = output(desc, args, 0);
  const Image s(desc.in[0].shape), k(desc.in[1].shape), d(desc.out[0].shape);
  const DType type = desc.out[0].dtype;
  const int64_t group_outputs = d.c / op.groups;
  for (int64_t n = 0; n < d.n; ++n) {
    for (int64_t o = 0; o < d.c; ++o) {
      const int64_t first_channel = o / group_outputs * k.c;
      for (int64_t y = 0; y < d.h; ++y) {
        for (int64_t x = 0; x < d.w; ++x) {
          double sum = bias.get(o, 0);
          for (int64_t c = 0; c < k.c; ++c) {
            for (int64_t i = 0; i < k.h; ++i) {
              const int64_t sy = source(op, 0, y, i);
              if (sy < 0 || sy >= s.h) continue;
              for (int64_t j = 0; j < k.w; ++j) {
                const int64_t sx = source(op, 1, x, j);
                if (sx < 0 || sx >= s.w) continue;
                sum += weights[k.at(o, c, i, j)] * src[s.at(n, first_channel + c, sy, sx)];
              }
            }
          }
          const int64_t at = d.at(n, o, y, x);
          if (op.sum) sum = rounded(type, rounded(type, sum) + addend[at]);
          if (op.relu) sum = std::max(sum, 0.0);
          dst.set(at, sum);
        }
      }
    }
  }
}

// The window position along axis i whose tap `tap` reads `src`, or -1.
int64_t reader(const Convolution& op, size_t i, int64_t src, int64_t tap, int64_t extent) {
  const int64_t offset = src + op.pad[i] - tap * op.dilation[i];
  if (offset < 0 || offset % op.stride[i] != 0 || offset / op.stride[i] >= extent) return -1;
  return offset / op.stride[i];
}

void backward_data(const Convolution& op, const OpDesc& desc, const KernelArgs& args) {
  const In diff_dst(args.in[0]), weights(args.in[1]);
  const Out diff_src = output(desc, args, 0);
  const Image d(desc.in[0].shape), k(desc.in[1].shape), s(desc.out[0].shape);
  const int64_t group_outputs = d.c / op.groups;
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t c = 0; c < s.c; ++c) {
      const int64_t first_output = c / k.c * group_outputs;
      for (int64_t sy = 0; sy < s.h; ++sy) {
        for (int64_t sx = 0; sx < s.w; ++sx) {
          double sum = 0;
          for (int64_t i = 0; i < k.h; ++i) {
            const int64_t y = reader(op, 0, sy, i, d.h);
            if (y < 0) continue;
            for (int64_t j = 0; j < k.w; ++j) {
              const int64_t x = reader(op, 1, sx, j, d.w);
              if (x < 0) continue;
              for (int64_t o = first_output; o < first_output + group_outputs; ++o) {
                sum += weights[k.at(o, c % k.c, i, j)] * diff_dst[d.at(n, o, y, x)];
              }
            }
          }
          diff_src.set(s.at(n, c, sy, sx), sum);
        }
      }
    }
  }
}

void backward_bias(const OpDesc& desc, const KernelArgs& args) {
  const In diff_dst(args.in[1]);
  const Out diff_bias = output(desc, args, 1);
  const Image d(desc.in[1].shape);
  for (int64_t o = 0; o < d.c; ++o) {
    double sum = 0;
    for (int64_t n = 0; n < d.n; ++n) {
      for (int64_t y = 0; y < d.h; ++y) {
        for (int64_t x = 0; x < d.w; ++x) sum += diff_dst[d.at(n, o, y, x)];
      }
    }
    diff_bias.set(o, sum);
  }
}

void backward_weights(const Convolution& op, const OpDesc& desc, const KernelArgs& args) {
  const In src(args.in[0]), diff_dst(args.in[1]);
  const Out diff_weights = output(desc, args, 0);
  const Image s(desc.in[0].shape), d(desc.in[1].shape), k(desc.out[0].shape);
  const int64_t group_outputs = d.c / op.groups;
  for (int64_t o = 0; o < k.n; ++o) {
    for (int64_t c = 0; c < k.c; ++c) {
      const int64_t channel = o / group_outputs * k.c + c;
      for (int64_t i = 0; i < k.h; ++i) {
        for (int64_t j = 0; j < k.w; ++j) {
          double sum = 0;
          for (int64_t n = 0; n < d.n; ++n) {
            for (int64_t y = 0; y < d.h; ++y) {
              const int64_t sy = source(op, 0, y, i);
              if (sy < 0 || sy >= s.h) continue;
              for (int64_t x = 0; x < d.w; ++x) {
                const int64_t sx = source(op, 1, x, j);
                if (sx < 0 || sx >= s.w) continue;
                sum += src[s.at(n, channel, sy, sx)] * diff_dst[d.at(n, o, y, x)];
              }
            }
          }
          diff_weights.set(k.at(o, c, i, j), sum);
        }
      }
    }
  }
  if (op.bias) backward_bias(desc, args);
}

}  // namespace

Implementation implement(const Convolution& op, const OpDesc& desc) {
  switch (desc.pass) {
    case Pass::forward: {
      Implementation result{"", [=](const KernelArgs& a) { forward(op, desc, a); }, {}};
      if (op.sum) result.in_place = {{0, static_cast<int>(desc.in.size()) - 1}};
      return result;
    }
    case Pass::backward_data:
      return {"", [=](const KernelArgs& a) { backward_data(op, desc, a); }, {}};
    default:
      return {"", [=](const KernelArgs& a) { backward_weights(op, desc, a); }, {}};
  }
}

}  // namespace resnet::reference
