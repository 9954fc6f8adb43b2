#include "host_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "resnet/base/error.h"
#include "resnet/base/half.h"

namespace resnet::testing {
namespace {

double difference(double a, double b) {
  if (std::isnan(a) && std::isnan(b)) return 0;
  const double d = std::abs(a - b);
  return std::isnan(d) ? std::numeric_limits<double>::infinity() : d;
}

double finite_or_zero(double v) { return std::isfinite(v) ? v : 0; }

}  // namespace

HostTensor::HostTensor(const TensorDesc& desc) : desc_(desc) {
  desc_.layout = Layout::nchw();
  buffer_ = host_buffer(std::max<int64_t>(desc_.bytes(), 1));
}

double HostTensor::operator[](int64_t i) const {
  switch (desc_.dtype) {
    case DType::f32:
      return view().as<float>()[i];
    case DType::f64:
      return view().as<double>()[i];
    case DType::i32:
      return view().as<int32_t>()[i];
    case DType::u8:
      return view().as<uint8_t>()[i];
    case DType::bf16:
      return to_float(view().as<bf16>()[i]);
    case DType::f16:
      return to_float(view().as<f16>()[i]);
  }
  throw InternalError("unknown type");
}

void HostTensor::set(int64_t i, double value) {
  switch (desc_.dtype) {
    case DType::f32:
      view().as<float>()[i] = static_cast<float>(value);
      return;
    case DType::f64:
      view().as<double>()[i] = value;
      return;
    case DType::i32:
      view().as<int32_t>()[i] = static_cast<int32_t>(value);
      return;
    case DType::u8:
      view().as<uint8_t>()[i] = static_cast<uint8_t>(value);
      return;
    case DType::bf16:
      view().as<bf16>()[i] = from_float<bf16>(static_cast<float>(value));
      return;
    case DType::f16:
      view().as<f16>()[i] = from_float<f16>(static_cast<float>(value));
      return;
  }
  throw InternalError("unknown type");
}

HostTensor copy_of(const HostTensor& t) {
  HostTensor copy(t.desc());
  std::memcpy(copy.view().data, t.view().data, static_cast<size_t>(t.desc().bytes()));
  return copy;
}

HostTensor as_type(const HostTensor& t, DType type) {
  TensorDesc desc = t.desc();
  desc.dtype = type;
  HostTensor converted(desc);
  for (int64_t i = 0; i < t.count(); ++i) converted.set(i, t[i]);
  return converted;
}

HostTensor random_tensor(const TensorDesc& desc, Random random) {
  HostTensor t(desc);
  for (int64_t i = 0; i < t.count(); ++i) t.set(i, random.normal());
  return t;
}

uint64_t hash_of(const std::string& text) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return hash;
}

double relative_error(const HostTensor& actual, const HostTensor& expected, double scale) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < expected.count(); ++i) {
    const double d = difference(actual[i], expected[i]), e = finite_or_zero(expected[i]);
    error += d * d;
    norm += e * e;
  }
  const double smallest = scale * std::sqrt(static_cast<double>(expected.count()));
  return std::sqrt(error) / std::max(std::sqrt(norm), std::max(smallest, 1e-300));
}

::testing::AssertionResult close(const HostTensor& actual, const HostTensor& expected,
                                 double tolerance, double scale) {
  if (actual.desc() != expected.desc()) {
    return ::testing::AssertionFailure()
           << "got " << actual.desc().str() << ", expected " << expected.desc().str();
  }
  double largest = 0;
  for (int64_t i = 0; i < expected.count(); ++i) {
    largest = std::max(largest, std::abs(finite_or_zero(expected[i])));
  }
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (difference(actual[i], expected[i]) > 10 * tolerance * std::max(largest, scale)) {
      return ::testing::AssertionFailure() << "element " << i << " of " << expected.desc().str()
                                           << " is " << actual[i] << ", expected " << expected[i];
    }
  }
  const double error = relative_error(actual, expected, scale);
  if (error <= tolerance) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "relative error " << error << " of "
                                       << expected.desc().str() << " exceeds " << tolerance;
}

::testing::AssertionResult equal(const HostTensor& actual, const HostTensor& expected) {
  if (actual.desc() != expected.desc()) {
    return ::testing::AssertionFailure()
           << "got " << actual.desc().str() << ", expected " << expected.desc().str();
  }
  for (int64_t i = 0; i < expected.count(); ++i) {
    if (difference(actual[i], expected[i]) != 0) {
      return ::testing::AssertionFailure() << "element " << i << " of " << expected.desc().str()
                                           << " is " << actual[i] << ", expected " << expected[i];
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace resnet::testing
