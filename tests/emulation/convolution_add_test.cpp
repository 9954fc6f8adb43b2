// The kernel behind convolutions of a library that cannot write where they should.
#include "backends/cuda/convolution_add.h"

#include <gtest/gtest.h>

#include <vector>

#include "resnet/base/half.h"

namespace resnet::cuda {
namespace {

// 0.5, 1, 1.5, .. are exact in every type up to 128.
template <class S, class D>
void check_move(DType from, DType to, int64_t count, bool add) {
  SCOPED_TRACE(std::to_string(count) + (add ? " added" : " copied"));
  constexpr float kBefore = 3, kBeyond = 77;
  const size_t n = static_cast<size_t>(count);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  void *src = nullptr, *dst = nullptr;
  ASSERT_EQ(cudaMalloc(&src, n * sizeof(S) + 16), cudaSuccess);
  ASSERT_EQ(cudaMalloc(&dst, n * sizeof(D) + 16), cudaSuccess);
  const auto value = [](size_t i) { return static_cast<float>(i % 200 + 1) * 0.5F; };
  std::vector<S> in(n);
  for (size_t i = 0; i < n; ++i) in[i] = from_float<S>(value(i));
  std::vector<D> out(n + 1, from_float<D>(kBefore));
  out[n] = from_float<D>(kBeyond);
  cudaMemcpyAsync(src, in.data(), n * sizeof(S), cudaMemcpyDefault, stream);
  cudaMemcpyAsync(dst, out.data(), (n + 1) * sizeof(D), cudaMemcpyDefault, stream);
  move_result(stream, from, src, to, dst, count, add);
  cudaMemcpyAsync(out.data(), dst, (n + 1) * sizeof(D), cudaMemcpyDefault, stream);
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  for (size_t i = 0; i < n; ++i) {
    ASSERT_EQ(to_float(out[i]), value(i) + (add ? kBefore : 0)) << i;
  }
  EXPECT_EQ(to_float(out[n]), kBeyond);
  cudaStreamDestroy(stream);
  cudaFree(src);
  cudaFree(dst);
}

TEST(MoveResult, ConvertsAndAdds) {
  for (const int64_t count : {0, 1, 7, 8, 9, 2048, 5003}) {
    for (const bool add : {false, true}) {
      check_move<bf16, float>(DType::bf16, DType::f32, count, add);
      check_move<f16, float>(DType::f16, DType::f32, count, add);
      check_move<float, float>(DType::f32, DType::f32, count, add);
      check_move<bf16, bf16>(DType::bf16, DType::bf16, count, add);
      check_move<f16, f16>(DType::f16, DType::f16, count, add);
    }
  }
}

}  // namespace
}  // namespace resnet::cuda
