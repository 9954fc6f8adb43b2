// The operators of ONNX that are written, as plain loops over float arrays. Internal to src/exchange.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "resnet/net/net.h"

namespace resnet::onnx {

// Why an operator cannot be computed.
struct BadNode : std::runtime_error {
  using std::runtime_error::runtime_error;
};
inline void need(bool ok, const std::string& fact) {
  if (!ok) throw BadNode(fact);
}

// Windows over the last two axes of (N,C,H,W). pads: rows before, columns before, rows behind, columns behind.
struct Window {
  std::vector<int64_t> kernel{1, 1}, strides{1, 1}, pads{0, 0, 0, 0}, dilations{1, 1};

  // Throws BadNode for windows that make no sense.
  void check() const;
  int64_t output_extent(size_t axis, int64_t in) const;  // rounded down
};

HostArray conv(const HostArray& x, const HostArray& weights, const HostArray* bias,
               const Window& window, int64_t groups);
enum class Pool { max, average, average_with_padding };
HostArray pool(const HostArray& x, const Window& window, Pool kind);
HostArray batch_normalization(const HostArray& x, const HostArray& gamma, const HostArray& beta,
                              const HostArray& mean, const HostArray& variance, double eps);
HostArray gemm(const HostArray& a, const HostArray& b, const HostArray* c, bool transpose_b);
HostArray softmax(const HostArray& x, int axis);
HostArray concat(const std::vector<const HostArray*>& in, int axis);
// Elements start + i * step of each axis, i < (end - start) / step rounded up.
HostArray slice(const HostArray& x, const std::vector<int64_t>& starts,
                const std::vector<int64_t>& ends, const std::vector<int64_t>& axes,
                const std::vector<int64_t>& steps);
// Zeros before and behind each axis.
HostArray pad(const HostArray& x, const std::vector<int64_t>& pads);

// x repeated along axes of extent 1, and along new axes in front.
HostArray expanded(const HostArray& x, const Shape& shape);
Shape common_shape(const Shape& a, const Shape& b);
template <class Function>
HostArray combined(const HostArray& a, const HostArray& b, const Function& function) {
  const Shape shape = common_shape(a.shape, b.shape);
  HostArray result = expanded(a, shape);
  const HostArray other = expanded(b, shape);
  for (size_t i = 0; i < result.data.size(); ++i) {
    result.data[i] = function(result.data[i], other.data[i]);
  }
  return result;
}

}  // namespace resnet::onnx
