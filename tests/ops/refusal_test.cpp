// What the reference backend refuses, and that it says why.
#include <gtest/gtest.h>

#include <filesystem>

#include "backends_under_test.h"
#include "runner.h"
#include "test_paths.h"

namespace resnet::testing {
namespace {

OpDesc relu(DType type, Layout layout) {
  const TensorDesc desc{Shape{2, 3}, type, layout};
  return {Relu{}, Pass::forward, {desc}, {desc}, {}};
}

std::string reason(const OpDesc& desc) { return reference_backend().supports(desc).reason; }

TEST(Refusal, SaysWhy) {
  EXPECT_EQ(reason(relu(DType::f32, Layout::any())), "");
  EXPECT_EQ(reason(relu(DType::f64, Layout::nchw())), "");
  EXPECT_EQ(reason(relu(DType::bf16, Layout::any())), "");
  EXPECT_EQ(reason(relu(DType::f32, Layout::blocked(16))),
            "layout nChw16c; reference knows nchw only");
  OpDesc desc = relu(DType::f32, Layout::any());
  desc.out[0].shape = Shape{3, 3};
  EXPECT_EQ(reason(desc), "output 0 is f32 (3,3) any, expected f32 (2,3) any");
  desc.out.push_back(desc.out[0]);
  EXPECT_EQ(reason(desc), "expects 1 inputs and 1 outputs");
  desc.out.pop_back();
  desc.in.push_back(desc.in[0]);
  EXPECT_EQ(reason(desc), "Relu: expects 1 inputs, got 2");
  desc = relu(DType::f32, Layout::any());
  desc.pass = Pass::recompute;
  EXPECT_EQ(reason(desc), "there is no pass recompute");
}

TEST(Refusal, OfConfigurationErrorsIsTheirText) {
  OpDesc desc = relu(DType::f32, Layout::any());
  desc.op = Softmax{.axis = 5};
  EXPECT_EQ(reason(desc), "axis 5 is out of range for shape (2,3)");
}

// CUDA has at most 65535 blocks in the second and third dimension of a grid.
TEST(Refusal, OfMoreRowsThanAGridHas) {
  if (!std::filesystem::exists(emulated_cuda_path())) GTEST_SKIP() << "the emulation is not here";
  const Backend& cuda = *backend_under_test("cuda").backend;
  const auto reason_for = [&](const Op& op, Pass pass, const std::vector<TensorDesc>& in) {
    return cuda.supports(describe_pass(op, pass, in)).reason;
  };
  for (const int64_t images : {65535, 65536}) {
    const bool fits = images == 65535;
    const TensorDesc src{Shape{images, 2, 1, 1}, DType::f32, Layout::any()};
    for (const Pass pass : {Pass::forward, Pass::recompute, Pass::backward}) {
      EXPECT_EQ(reason_for(BatchNorm{.group_size = 1}, pass, {src}),
                fits ? "" : "more than 65535 groups");
    }
    EXPECT_EQ(reason_for(Pooling{.kind = Pooling::Kind::average}, Pass::forward, {src}),
              fits ? "" : "more than 65535 images");
    const std::vector<TensorDesc> held{{Shape{70000, 3, 8, 8}, DType::u8, Layout::nchw()},
                                       {Shape{70000}, DType::f32, Layout::nchw()},
                                       {Shape{2, 70000}, DType::i32, Layout::nchw()},
                                       {Shape{3}, DType::f32, Layout::nchw()},
                                       {Shape{8}, DType::f64, Layout::nchw()}};
    EXPECT_EQ(reason_for(DrawBatch{.batch = images, .height = 4, .width = 4}, Pass::forward, held),
              fits ? "" : "a batch of more than 65535 images");
  }
}

TEST(Refusal, OfAccumulatingBitsAndUpdates) {
  for (const Case& c : small_cases()) {
    SCOPED_TRACE(c.name);
    Runner runner(reference_backend(), c);
    for (Pass pass : Runner::passes(c)) {
      const OpDesc desc = runner.describe(pass);
      for (size_t i = 0; i < desc.out.size(); ++i) {
        const bool bits = desc.out[i].dtype == DType::u8 || desc.out[i].dtype == DType::i32;
        const bool statistics =
            std::holds_alternative<BatchNorm>(c.op) && pass == Pass::forward && i > 0;
        const bool drawn = std::holds_alternative<DrawBatch>(c.op) ||
                           std::holds_alternative<NormaliseImages>(c.op);
        const bool accumulates = runner.supports(pass, static_cast<int>(i)).ok;
        EXPECT_EQ(accumulates, !bits && !statistics && !updates_outputs(c.op) && !drawn)
            << "output " << i;
      }
    }
  }
}

}  // namespace
}  // namespace resnet::testing
