// bfloat16 in the onednn backend's own kernels: where it is supported, how it rounds, and that masks
// follow what is stored. Equality with the reference backend is tested in tests/ops.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <limits>

#include "backends/onednn/backend.h"
#include "backends/onednn/isa.h"
#include "resnet/base/half.h"
#include "resnet/base/parallel.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

using onednn::activation_kernels;
using onednn::bf16_refusal;

bool is_held_back() {
  for (const char* name : {"RESNET_MAX_CPU_ISA", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"}) {
    const char* text = std::getenv(name);
    if (text != nullptr && *text != '\0') return true;
  }
  return false;
}

OpDesc relu(DType type) {
  return describe_pass(Relu{}, Pass::forward, {{Shape{2, 16, 4, 4}, type, Layout::any()}});
}

TEST(OnednnTypes, Bf16NeedsAnInstructionSet) {
  const auto backend = make_onednn_backend();
  EXPECT_EQ(backend->supports(relu(DType::bf16)).reason, bf16_refusal());
  EXPECT_EQ(backend->supports(relu(DType::f16)).reason,
            "type f16; onednn computes in f32 and bf16");
  if (!bf16_refusal().empty()) {
    EXPECT_EQ(bf16_refusal().find("type bf16 needs AVX512_BF16; this machine computes with "), 0U);
  }
  if (std::string(onednn::vector_kernels().isa) != "avx512") {
    EXPECT_NE(bf16_refusal(), "");
  }
#ifdef __x86_64__
  if (!is_held_back()) {
    EXPECT_EQ(bf16_refusal().empty(), __builtin_cpu_supports("avx512bf16") != 0);
  }
#endif
}

class OnednnBf16 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!bf16_refusal().empty()) GTEST_SKIP() << bf16_refusal();
  }
};

std::vector<bf16> random_values(int64_t n, uint64_t stream) {
  std::vector<bf16> values;
  Random random(7, stream, Use::test);
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(from_float<bf16>(static_cast<float>(random.normal())));
  }
  return values;
}

TEST_F(OnednnBf16, RefusesActivationsOfTwoTypes) {
  OpDesc desc = relu(DType::bf16);
  desc.in[0].dtype = DType::f32;
  EXPECT_EQ(make_onednn_backend()->supports(desc).reason,
            "activations of the types bf16 and f32 in one step");
}

// Sums of two values, in vectors and in what is left over at the end.
TEST_F(OnednnBf16, RoundsToNearestEven) {
  constexpr int64_t kCount = 5 * 1024 + 7;
  std::vector<bf16> a = random_values(kCount, 1), b = random_values(kCount, 2);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::pair<float, float> special[] = {
      {1.0F, 0x1p-8F},            // a tie: down to even
      {1.0F + 0x1p-7F, 0x1p-8F},  // a tie: up to even
      {0.0F, -0.0F},
      {0x1.fep127F, 0x1p119F},  // overflows
      {kInfinity, 1.0F},
      {-kInfinity, 1.0F},
      {kInfinity, -kInfinity},    // NaN
      {0x1.8p-126F, -0x1p-126F},  // subnormal
      {-0x1.8p-126F, 0x1p-126F},
  };
  for (const int64_t begin : {int64_t{32}, kCount - 7}) {
    for (size_t i = 0; i < std::size(special); ++i) {
      const auto at = static_cast<size_t>(begin) + i;
      if (at >= a.size()) continue;
      a[at] = from_float<bf16>(special[i].first);
      b[at] = from_float<bf16>(special[i].second);
    }
  }
  const bf16* const srcs[] = {a.data(), b.data()};
  const float coeff[] = {1, 1};
  std::vector<bf16> sums(kCount);
  activation_kernels<bf16>().weighted_sum(srcs, coeff, 2, 0, sums.data(), kCount, false, false,
                                          false);
  for (size_t i = 0; i < sums.size(); ++i) {
    const float exact = to_float(a[i]) + to_float(b[i]);
    if (std::isnan(exact)) {
      EXPECT_TRUE(std::isnan(to_float(sums[i]))) << i;
    } else if (std::fpclassify(exact) == FP_SUBNORMAL) {
      EXPECT_EQ(to_float(sums[i]), 0) << i;
    } else {
      EXPECT_EQ(sums[i].bits, from_float<bf16>(exact).bits) << i << ": " << exact;
    }
  }
}

// The same numbers in blocks and row by row, also where stores go past the caches.
TEST_F(OnednnBf16, NormalisesAlikeInEveryLayout) {
  constexpr int64_t kPixels = 301;
  const auto& kernels = activation_kernels<bf16>();
  const int width = kernels.blocked.width;
  const std::vector<bf16> src = random_values(kPixels * width, 3);
  const std::vector<float> mean(16, 0.25F), scale(16, 1.7F), shift(16, -0.3F);
  struct alignas(64) Values {
    bf16 at[kPixels * 16];
  };
  const auto run = [&](const onednn::BlockKernels<bf16>& block, int64_t pixels, bool stream) {
    auto dst = std::make_unique<Values>();
    block.normalise({src.data(), nullptr, dst->at, nullptr, 0, mean.data(), scale.data(),
                     shift.data(), true, stream},
                    pixels);
    onednn::vector_kernels().finish_streams();
    return dst;
  };
  ASSERT_EQ(width, 16);
  const auto blocked = run(kernels.blocked, kPixels, false);
  const auto streamed = run(kernels.blocked, kPixels, true);
  const auto plain = run(kernels.plain, kPixels * width, false);
  for (int64_t i = 0; i < kPixels * width; ++i) {
    const auto at = static_cast<size_t>(i);
    const float y = (to_float(src[at]) - 0.25F) * 1.7F - 0.3F;
    EXPECT_NEAR(to_float(blocked->at[i]), std::max(y, 0.0F), std::abs(y) * 0x1p-8F + 1e-6F);
    EXPECT_EQ(blocked->at[i].bits, plain->at[i].bits) << i;
    EXPECT_EQ(blocked->at[i].bits, streamed->at[i].bits) << i;
  }
}

// The smallest positive numbers are stored as zero; the mask must not let gradients pass there.
TEST_F(OnednnBf16, MasksFollowWhatIsStored) {
  const auto& blocked = activation_kernels<bf16>().blocked;
  ASSERT_EQ(blocked.width, 16);
  std::vector<bf16> src(16), dst(16);
  for (const size_t i : {2U, 3U}) src[i] = from_float<bf16>(0x1p-126F);
  src[5] = from_float<bf16>(std::nanf(""));
  src[6] = from_float<bf16>(-1);
  src[7] = from_float<bf16>(1);
  std::vector<float> mean(16, 0), scale(16, 1), shift(16, 0);
  scale[2] = 0.5F;  // subnormal
  uint8_t mask[2] = {0xFF, 0xFF};
  blocked.normalise({src.data(), nullptr, dst.data(), mask, 0, mean.data(), scale.data(),
                     shift.data(), true, false},
                    1);
  EXPECT_EQ(mask[0], 1U << 3 | 1U << 7);
  EXPECT_EQ(mask[1], 0);
  for (size_t i = 0; i < dst.size(); ++i) {
    EXPECT_EQ(to_float(dst[i]) > 0, (mask[i / 8] >> (i % 8) & 1) != 0) << i;
  }
}

// One BatchNorm with addition, ReLU and mask on activations of 1 MiB: its outputs in bytes.
std::vector<std::vector<std::byte>> batch_norm(Pass pass) {
  const auto backend = make_onednn_backend();
  BatchNorm op;
  op.gamma = op.beta = op.add = op.relu = op.has_mask = true;
  const TensorDesc src{Shape{64, 32, 16, 16}, DType::bf16, Layout::blocked(16)};
  const TensorDesc channels{Shape{32}, DType::f32, Layout::nchw()};
  const OpDesc desc = backend->resolve(describe_pass(op, pass, {src, channels, channels, src}));
  const auto kernel = backend->compile(desc);
  std::vector<Buffer> buffers;
  const auto allocate = [&](const TensorDesc& t) {
    buffers.push_back(backend->allocate(backend->bytes(t)));
    return buffers.back().view(t);
  };
  std::vector<Tensor> in, out;
  for (const TensorDesc& t : desc.in) {
    in.push_back(allocate(t));
    const std::vector<bf16> values = random_values(t.count(), in.size());
    for (int64_t i = 0; i < t.count(); ++i) {
      const bf16 value = values[static_cast<size_t>(i)];
      if (t.dtype == DType::bf16) in.back().as<bf16>()[i] = value;
      if (t.dtype == DType::f32) in.back().as<float>()[i] = to_float(value);
      if (t.dtype == DType::u8) in.back().as<uint8_t>()[i] = static_cast<uint8_t>(value.bits);
    }
  }
  for (const TensorDesc& t : desc.out) out.push_back(allocate(t));
  const Buffer scratch = backend->allocate(kernel->scratch_bytes());
  kernel->run({in, out, scratch.data()});
  std::vector<std::vector<std::byte>> results;
  results.reserve(out.size());
  for (const Tensor& t : out) results.emplace_back(t.data, t.data + backend->bytes(t.desc));
  return results;
}

TEST_F(OnednnBf16, ResultsDoNotDependOnThreads) {
  const int threads = num_threads();
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    set_num_threads(1);
    const auto alone = batch_norm(pass);
    for (const int many : {2, 3}) {
      set_num_threads(many);
      EXPECT_EQ(batch_norm(pass), alone) << name_of(pass) << ", " << many << " threads";
    }
  }
  set_num_threads(threads);
}

}  // namespace
}  // namespace resnet
