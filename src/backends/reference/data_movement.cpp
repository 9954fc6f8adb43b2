// Reshape, Reorder, Concat, Slice, IdentityShortcut and Fill.
#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

void copy_all(const OpDesc& desc, const KernelArgs& args) {
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) dst.set(i, src[i]);
}

void concat(const Concat& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis d(desc.out[0].shape, op.axis);
  const Out dst = output(desc, args, 0);
  int64_t begin = 0;
  for (size_t n = 0; n < args.in.size(); ++n) {
    const Axis s(desc.in[n].shape, op.axis);
    const In src(args.in[n]);
    for (int64_t o = 0; o < s.outer; ++o) {
      for (int64_t k = 0; k < s.axis; ++k) {
        for (int64_t i = 0; i < s.inner; ++i) dst.set(d.at(o, begin + k, i), src[s.at(o, k, i)]);
      }
    }
    begin += s.axis;
  }
}

void slice(const Slice& op, const OpDesc& desc, const KernelArgs& args) {
  const Axis s(desc.in[0].shape, op.axis), d(desc.out[0].shape, op.axis);
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for (int64_t o = 0; o < d.outer; ++o) {
    for (int64_t k = 0; k < d.axis; ++k) {
      for (int64_t i = 0; i < d.inner; ++i) dst.set(d.at(o, k, i), src[s.at(o, op.begin + k, i)]);
    }
  }
}

void shortcut_forward(const IdentityShortcut& op, const OpDesc& desc, const KernelArgs& args) {
  const Image s(desc.in[0].shape), d(desc.out[0].shape);
  const In src(args.in[0]);
  const Out dst = output(desc, args, 0);
  for (int64_t n = 0; n < d.n; ++n) {
    for (int64_t c = 0; c < d.c; ++c) {
      for (int64_t y = 0; y < d.h; ++y) {
        for (int64_t x = 0; x < d.w; ++x) {
          dst.set(d.at(n, c, y, x), c < s.c ? src[s.at(n, c, y * op.stride, x * op.stride)] : 0);
        }
      }
    }
  }
}

void shortcut_backward(const IdentityShortcut& op, const OpDesc& desc, const KernelArgs& args) {
  const Image d(desc.in[0].shape), s(desc.out[0].shape);
  const In diff_dst(args.in[0]);
  const Out diff_src = output(desc, args, 0);
  for (int64_t n = 0; n < s.n; ++n) {
    for (int64_t c = 0; c < s.c; ++c) {
      for (int64_t y = 0; y < s.h; ++y) {
        for (int64_t x = 0; x < s.w; ++x) {
          const bool taken = y % op.stride == 0 && x % op.stride == 0;
          diff_src.set(s.at(n, c, y, x),
                       taken ? diff_dst[d.at(n, c, y / op.stride, x / op.stride)] : 0);
        }
      }
    }
  }
}

void fill(const Fill& op, const OpDesc& desc, const KernelArgs& args) {
  const Out dst = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) dst.set(i, op.value);
}

}  // namespace

Implementation implement(const Reshape&, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { copy_all(desc, a); }, {{0, 0}}};
}

Implementation implement(const Reorder&, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { copy_all(desc, a); }, {{0, 0}}};
}

Implementation implement(const Concat& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { concat(op, desc, a); }, {}};
}

Implementation implement(const Slice& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { slice(op, desc, a); }, {}};
}

Implementation implement(const IdentityShortcut& op, const OpDesc& desc) {
  if (desc.pass == Pass::forward) {
    return {"", [=](const KernelArgs& a) { shortcut_forward(op, desc, a); }, {}};
  }
  return {"", [=](const KernelArgs& a) { shortcut_backward(op, desc, a); }, {}};
}

Implementation implement(const Fill& op, const OpDesc& desc) {
  return {"", [=](const KernelArgs& a) { fill(op, desc, a); }, {}};
}

}  // namespace resnet::reference
