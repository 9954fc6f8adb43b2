#include <algorithm>

#include "backends/reference/kernels.h"

namespace resnet::reference {
namespace {

std::vector<In> inputs(const KernelArgs& args, size_t first) {
  return {args.in.begin() + static_cast<std::ptrdiff_t>(first), args.in.end()};
}

double sum(const Eltwise& op, const std::vector<In>& src, int64_t i) {
  double total = 0;
  for (size_t k = 0; k < src.size(); ++k) total += (op.coeff.empty() ? 1 : op.coeff[k]) * src[k][i];
  return op.relu ? std::max(total, 0.0) : total;
}

// Product of all inputs, or of all but one.
double product(const std::vector<In>& src, int64_t i, size_t except) {
  double total = 1;
  for (size_t k = 0; k < src.size(); ++k) {
    if (k != except) total *= src[k][i];
  }
  return total;
}

// The input that holds the maximum: the first of equals.
size_t winner(const std::vector<In>& src, int64_t i) {
  size_t best = 0;
  for (size_t k = 1; k < src.size(); ++k) {
    if (src[k][i] > src[best][i]) best = k;
  }
  return best;
}

void forward(const Eltwise& op, const OpDesc& desc, const KernelArgs& args) {
  const std::vector<In> src = inputs(args, 0);
  const Out dst = output(desc, args, 0);
  for (int64_t i = 0; i < desc.out[0].count(); ++i) {
    switch (op.kind) {
      case Eltwise::Kind::sum:
        dst.set(i, sum(op, src, i));
        break;
      case Eltwise::Kind::prod:
        dst.set(i, product(src, i, src.size()));
        break;
      case Eltwise::Kind::max:
        dst.set(i, src[winner(src, i)][i]);
        break;
    }
  }
}

void backward(const Eltwise& op, const OpDesc& desc, const KernelArgs& args) {
  const In diff_dst(args.in[0]);
  const std::vector<In> src = inputs(args, 1);
  for (size_t k = 0; k < src.size(); ++k) {
    const Out diff_src = output(desc, args, k);
    for (int64_t i = 0; i < desc.in[0].count(); ++i) {
      const double slope =
          op.kind == Eltwise::Kind::prod ? product(src, i, k) : winner(src, i) == k;
      diff_src.set(i, slope * diff_dst[i]);
    }
  }
}

}  // namespace

Implementation implement(const Eltwise& op, const OpDesc& desc) {
  if (desc.pass == Pass::backward)
    return {"", [=](const KernelArgs& a) { backward(op, desc, a); }, {}};
  Implementation result{"", [=](const KernelArgs& a) { forward(op, desc, a); }, {}};
  for (int i = 0; i < static_cast<int>(desc.in.size()); ++i) result.in_place.push_back({0, i});
  return result;
}

}  // namespace resnet::reference
