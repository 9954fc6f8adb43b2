// A row-major tensor in host memory, and how tests compare two of them.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "resnet/base/random.h"
#include "resnet/tensor/tensor.h"

namespace resnet::testing {

class HostTensor {
 public:
  HostTensor() = default;
  explicit HostTensor(const TensorDesc& desc);  // zero, layout nchw whatever desc says

  bool empty() const { return buffer_.data() == nullptr; }  // default-constructed
  const TensorDesc& desc() const { return desc_; }
  int64_t count() const { return desc_.count(); }
  double operator[](int64_t i) const;
  void set(int64_t i, double value);
  Tensor view() const { return buffer_.view(desc_); }
  bool is_real() const { return desc_.dtype != DType::i32 && desc_.dtype != DType::u8; }

 private:
  TensorDesc desc_;
  Buffer buffer_;
};

HostTensor copy_of(const HostTensor& t);
// The values rounded to another type.
HostTensor as_type(const HostTensor& t, DType type);
// Standard normal values.
HostTensor random_tensor(const TensorDesc& desc, Random random);
// Stable number of a text, to seed random values with.
uint64_t hash_of(const std::string& text);

// Norm of the difference over max(norm of expected, scale sqrt(n)); NaN where both are NaN counts as equal.
double relative_error(const HostTensor& actual, const HostTensor& expected, double scale = 1e-6);
// relative_error at most `tolerance` and every element within 10 * tolerance * max(|expected|, scale). A larger
// scale than the usual one is for results that are what is left when terms of that size cancel.
::testing::AssertionResult close(const HostTensor& actual, const HostTensor& expected,
                                 double tolerance, double scale = 1e-6);
::testing::AssertionResult equal(const HostTensor& actual, const HostTensor& expected);

}  // namespace resnet::testing
