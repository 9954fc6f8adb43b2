// What is particular to the onednn backend: layouts, instruction sets, memory sharing, determinism.
// Equality with the reference backend is tested in tests/ops.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "backends/onednn/backend.h"
#include "backends/onednn/isa.h"
#include "resnet/base/parallel.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

using onednn::preferred_block;

TensorDesc image(int64_t n, int64_t c, int64_t h, int64_t w, Layout layout = Layout::any()) {
  return {Shape{n, c, h, w}, DType::f32, layout};
}
TensorDesc vector(int64_t n) { return {Shape{n}, DType::f32, Layout::nchw()}; }

Convolution conv3x3(int64_t outputs) {
  Convolution op;
  op.num_output = outputs;
  op.kernel = {3, 3};
  op.pad = {1, 1};
  return op;
}

BatchNorm fused_batch_norm() {
  BatchNorm op;
  op.gamma = op.beta = op.add = op.relu = op.has_mask = true;
  return op;
}

// The operands of one step, filled with reproducible values.
class Step {
 public:
  Step(Backend& backend, const OpDesc& desc, float poison = 0)
      : desc_(backend.resolve(desc)), kernel_(backend.compile(desc_)) {
    for (const TensorDesc& t : desc_.in) in_.push_back(allocate(backend, t));
    for (const TensorDesc& t : desc_.out) out_.push_back(allocate(backend, t));
    scratch_ = backend.allocate(kernel_->scratch_bytes());
    for (size_t i = 0; i < in_.size(); ++i) {
      if (in_[i].desc.dtype != DType::f32) continue;
      Random random(7, i, Use::test);
      for (int64_t k = 0; k < in_[i].desc.count(); ++k) {
        in_[i].as<float>()[k] = static_cast<float>(random.normal());
      }
    }
    for (Tensor& t : out_) {
      if (t.desc.dtype == DType::f32) {
        std::fill_n(t.as<float>(), backend.bytes(t.desc) / size_of(DType::f32), poison);
      }
    }
  }

  const OpDesc& desc() const { return desc_; }
  Tensor& in(size_t i) { return in_[i]; }
  Tensor& out(size_t i) { return out_[i]; }
  void run() { kernel_->run({in_, out_, scratch_.data()}); }
  std::vector<float> values(size_t output) const {
    const float* data = out_[output].as<float>();
    return {data, data + out_[output].desc.storage_count()};
  }

 private:
  Tensor allocate(Backend& backend, const TensorDesc& t) {
    buffers_.push_back(backend.allocate(backend.bytes(t)));
    return buffers_.back().view(t);
  }

  OpDesc desc_;
  std::shared_ptr<const Kernel> kernel_;
  std::vector<Buffer> buffers_;
  std::vector<Tensor> in_, out_;
  Buffer scratch_;
};

class Onednn : public ::testing::Test {
 protected:
  void TearDown() override { set_num_threads(threads_); }
  const int threads_ = num_threads();
  const std::unique_ptr<Backend> backend_ = make_onednn_backend();
};

// 3x3 convolutions of 64 channels at least, over 48 tiles of 4x4 pixels at least, and those of 32 channels at least
// whose weights are fixed.
TEST_F(Onednn, ChoosesWinogradByShape) {
  if (preferred_block() != 16) GTEST_SKIP() << "oneDNN has Winograd's algorithm for AVX-512 only";
  const auto backend = make_onednn_backend();
  const auto is_winograd = [&](const Convolution& op, Pass pass, const TensorDesc& src) {
    const TensorDesc weights{Shape{op.num_output, src.shape[1], op.kernel[0], op.kernel[1]},
                             src.dtype, Layout::any()};
    std::vector<TensorDesc> in{src, weights};
    if (op.bias) in.push_back(vector(op.num_output));
    const OpDesc desc = backend->resolve(describe_pass(op, pass, in));
    return backend->compile(desc)->impl().find("wino") != std::string::npos;
  };
  Convolution fixed = conv3x3(32), strided = conv3x3(64), wide = conv3x3(64);
  fixed.fixed_weights = fixed.bias = true;
  strided.stride = {2, 2};
  wide.kernel = {5, 5};
  wide.pad = {2, 2};
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    SCOPED_TRACE(name_of(pass));
    EXPECT_TRUE(is_winograd(conv3x3(64), pass, image(1, 64, 28, 25)));
    EXPECT_FALSE(is_winograd(conv3x3(64), pass, image(1, 64, 28, 24)));
    EXPECT_EQ(is_winograd(conv3x3(32), pass, image(2, 32, 28, 28)), pass != Pass::backward_weights);
    EXPECT_FALSE(is_winograd(conv3x3(16), pass, image(2, 16, 28, 28)));
    EXPECT_FALSE(is_winograd(strided, pass, image(4, 64, 28, 28)));
    EXPECT_FALSE(is_winograd(wide, pass, image(2, 64, 28, 28)));
  }
  EXPECT_TRUE(is_winograd(fixed, Pass::forward, image(1, 32, 8, 8)));
}

TEST_F(Onednn, NamesLibraryAndInstructionSet) {
  EXPECT_NE(backend_->description().find("oneDNN 2."), std::string::npos);
  EXPECT_NE(backend_->description().find(onednn::vector_kernels().isa), std::string::npos);
}

// So that an image's scores are the same in a batch of any size.
TEST_F(Onednn, AnImagesInnerProductDoesNotDependOnTheBatch) {
  InnerProduct op;
  op.num_output = 10;
  op.bias = true;
  for (const int64_t inputs : {1, 5, 64, 513, 2048}) {
    std::vector<float> alone;
    for (const int64_t batch : {1, 2, 9, 64}) {
      for (const int threads : {1, 3}) {
        set_num_threads(threads);
        Step step(*backend_, describe_pass(op, Pass::forward,
                                           {{Shape{batch, inputs}, DType::f32, Layout::nchw()},
                                            {Shape{10, inputs}, DType::f32, Layout::nchw()},
                                            vector(10)}));
        step.run();
        std::vector<float> first = step.values(0);
        first.resize(10);
        if (alone.empty()) alone = first;
        EXPECT_EQ(first, alone) << inputs << " inputs, batch " << batch;
      }
    }
  }
}

TEST_F(Onednn, FirstConvolutionTakesThreePlanesAndInteriorOnesBlocks) {
  if (std::string(onednn::vector_kernels().isa) == "portable") {
    GTEST_SKIP() << "oneDNN trains on row-major tensors without AVX2";
  }
  const Layout blocked = Layout::blocked(preferred_block());
  const OpDesc first = backend_->resolve(describe_pass(
      conv3x3(16), Pass::forward, {image(2, 3, 8, 8), {Shape{16, 3, 3, 3}, DType::f32, {}}}));
  EXPECT_EQ(first.in[0].layout, Layout::nchw());
  EXPECT_EQ(first.out[0].layout, blocked);

  OpDesc inner = describe_pass(conv3x3(32), Pass::forward,
                               {image(2, 16, 8, 8, Layout::nchw()), image(32, 16, 3, 3)});
  inner = backend_->resolve(inner);
  EXPECT_EQ(inner.in[0].layout, blocked);
  EXPECT_EQ(inner.in[1].layout.kind, Layout::Kind::opaque);
  EXPECT_EQ(inner.out[0].layout, blocked);
  EXPECT_EQ(backend_->resolve(inner), inner);
}

TEST_F(Onednn, GradientOfWeightsKeepsTheirLayout) {
  const std::vector<TensorDesc> in{image(2, 16, 8, 8), image(32, 16, 3, 3)};
  const OpDesc forward = backend_->resolve([&] {
    OpDesc d = describe_pass(conv3x3(32), Pass::forward, in);
    d.in[1].layout = Layout::any();
    return d;
  }());
  OpDesc backward = describe_pass(conv3x3(32), Pass::backward_weights, in);
  backward.out[0].layout = forward.in[1].layout;
  backward = backend_->resolve(backward);
  EXPECT_EQ(backward.out[0].layout, forward.in[1].layout);
  EXPECT_EQ(backward.in[0].layout, forward.in[0].layout);
  EXPECT_EQ(backend_->compile(backward)->impl().find("ref"), std::string::npos);
  EXPECT_EQ(backend_->bytes(backward.out[0]), 32 * 16 * 9 * 4);
}

// Odd channel counts must not end in oneDNN's plain loops.
TEST_F(Onednn, OddChannelsRunInFastPrimitives) {
  for (const Pass pass : {Pass::forward, Pass::backward_data, Pass::backward_weights}) {
    const OpDesc desc = backend_->resolve(
        describe_pass(conv3x3(7), pass, {image(2, 10, 8, 8), image(7, 10, 3, 3)}));
    EXPECT_EQ(backend_->compile(desc)->impl().find("ref"), std::string::npos) << desc.str();
  }
}

TEST_F(Onednn, FullBlocksOfOnePixelNeedNoReorder) {
  const Layout blocked = Layout::blocked(preferred_block());
  InnerProduct op;
  op.num_output = 10;
  const OpDesc desc = backend_->resolve(
      describe_pass(op, Pass::forward,
                    {image(4, 64, 1, 1, blocked), {Shape{10, 64}, DType::f32, Layout::any()}}));
  EXPECT_EQ(desc.in[0].layout, blocked);

  Pooling pool;
  pool.kind = Pooling::Kind::average;
  pool.kernel = {8, 8};
  OpDesc backward = describe_pass(pool, Pass::backward, {image(4, 64, 8, 8)});
  backward.in[0].layout = Layout::nchw();  // from an inner product
  backward = backend_->resolve(backward);
  EXPECT_EQ(backward.in[0].layout, Layout::nchw());
  EXPECT_EQ(backward.out[0].layout, blocked);
}

TEST_F(Onednn, RefusesWithReasons) {
  OpDesc desc = describe_pass(Relu{}, Pass::forward, {image(1, 16, 2, 2)});
  desc.in[0].dtype = desc.out[0].dtype = DType::f16;
  Support support = backend_->supports(desc);
  EXPECT_FALSE(support.ok);
  EXPECT_NE(support.reason.find("type f16"), std::string::npos);

  desc = describe_pass(conv3x3(16), Pass::backward_data, {image(2, 16, 8, 8), image(16, 16, 3, 3)});
  desc.accumulate = {true};
  support = backend_->supports(desc);
  EXPECT_FALSE(support.ok);
  EXPECT_NE(support.reason.find("accumulated"), std::string::npos);
}

TEST_F(Onednn, PaddingChannelsStayZero) {
  const BatchNorm op = fused_batch_norm();
  const TensorDesc src = image(3, 10, 5, 5, Layout::blocked(preferred_block()));
  Step step(*backend_, describe_pass(op, Pass::forward, {src, vector(10), vector(10), src}),
            std::nanf(""));
  const int64_t block = preferred_block(), padded = (10 + block - 1) / block * block;
  const auto channel = [&](int64_t i) {
    return i / (25 * block) % (padded / block) * block + i % block;
  };
  for (const size_t input : {size_t{0}, size_t{3}}) {
    float* data = step.in(input).as<float>();
    for (int64_t i = 0; i < src.storage_count(); ++i) {
      data[i] = channel(i) < 10 ? static_cast<float>(i % 13) - 6 : 0.0f;
    }
  }
  step.run();
  const std::vector<float> dst = step.values(0);
  for (size_t i = 0; i < dst.size(); ++i) {
    ASSERT_FALSE(std::isnan(dst[i])) << i;
    if (channel(static_cast<int64_t>(i)) >= 10) {
      ASSERT_EQ(dst[i], 0) << i;
    }
  }
}

// Kernels of our own cut their work by shape alone.
TEST_F(Onednn, OwnKernelsDoNotDependOnThreads) {
  const TensorDesc src = image(64, 16, 16, 16, Layout::blocked(preferred_block()));
  const std::vector<TensorDesc> in{src, vector(16), vector(16), src};
  for (const Pass pass : {Pass::forward, Pass::backward}) {
    std::vector<std::vector<float>> results;
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      Step step(*backend_, describe_pass(fused_batch_norm(), pass, in));
      step.run();
      for (size_t i = 0; i < step.desc().out.size(); ++i) {
        if (step.desc().out[i].dtype == DType::f32) results.push_back(step.values(i));
      }
    }
    const size_t outputs = results.size() / 3;
    for (size_t i = 0; i < outputs; ++i) {
      EXPECT_EQ(results[i], results[i + outputs]) << name_of(pass) << " output " << i;
      EXPECT_EQ(results[i], results[i + 2 * outputs]) << name_of(pass) << " output " << i;
    }
  }
}

// Every pair that supports() offers gives the same result in shared memory.
TEST_F(Onednn, InPlaceEqualsSeparate) {
  const TensorDesc src = image(64, 16, 16, 16, Layout::blocked(preferred_block()));
  Convolution sum = conv3x3(16);
  sum.sum = true;
  Eltwise add;
  add.relu = true;
  const std::vector<TensorDesc> normalised{src, vector(16), vector(16), src};
  const OpDesc descs[] = {
      describe_pass(fused_batch_norm(), Pass::forward, normalised),
      describe_pass(fused_batch_norm(), Pass::backward, normalised),
      describe_pass(sum, Pass::forward, {src, image(16, 16, 3, 3), src}),
      describe_pass(add, Pass::forward, {src, src, src}),
      describe_pass(Relu{0.1}, Pass::forward, {src}),
      describe_pass(Relu{0.1}, Pass::backward, {src}),
  };
  for (const OpDesc& desc : descs) {
    Step separate(*backend_, desc);
    separate.run();
    const Support support = backend_->supports(desc);
    ASSERT_FALSE(support.in_place.empty()) << desc.str();
    for (const auto& [output, input] : support.in_place) {
      const auto o = static_cast<size_t>(output), i = static_cast<size_t>(input);
      Step shared(*backend_, desc);
      shared.out(o).data = shared.in(i).data;
      shared.run();
      for (size_t k = 0; k < desc.out.size(); ++k) {
        if (desc.out[k].dtype != DType::f32) continue;
        EXPECT_EQ(shared.values(k), separate.values(k))
            << desc.str() << ": output " << output << " in input " << input;
      }
    }
  }
}

// A mean far from 0 must not drown the variance.
TEST_F(Onednn, StatisticsSurviveALargeMean) {
  BatchNorm op;
  const TensorDesc src = image(8, 16, 32, 32, Layout::blocked(preferred_block()));
  Step step(*backend_, describe_pass(op, Pass::forward, {src}));
  float* data = step.in(0).as<float>();
  double mean = 0, squares = 0;
  const auto of_channel_0 = [&](const auto& f) {
    for (int64_t i = 0; i < src.count(); i += preferred_block()) {
      if (i / (1024 * preferred_block()) % (16 / preferred_block()) == 0) f(data[i]);
    }
  };
  for (int64_t i = 0; i < src.count(); ++i) data[i] = data[i] * 0.01f + 100;
  of_channel_0([&](float x) { mean += x / 8192.0; });
  of_channel_0([&](float x) { squares += (x - mean) * (x - mean) / 8191.0; });
  step.run();
  const float* stats = step.out(2).as<float>();
  EXPECT_NEAR(stats[0], mean, 1e-5);
  EXPECT_NEAR(stats[16] / squares, 1, 1e-5);
}

}  // namespace
}  // namespace resnet
