// Shapes, signatures, counts and error texts of ops.
#include "resnet/ops/op.h"

#include <gtest/gtest.h>

#include "resnet/base/error.h"

namespace resnet {
namespace {

std::vector<TensorDesc> f32(const std::vector<Shape>& shapes) {
  std::vector<TensorDesc> descs;
  for (const Shape& s : shapes) descs.push_back({s, DType::f32, Layout::nchw()});
  return descs;
}

Shape dst(const Op& op, const std::vector<Shape>& in) { return infer(op, f32(in))[0].shape; }

// The text of the ConfigError that infer() throws, or "".
std::string error(const Op& op, const std::vector<Shape>& in) {
  try {
    infer(op, f32(in));
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

Convolution conv(int64_t outputs, int64_t kernel, int64_t stride, int64_t pad) {
  return {.num_output = outputs,
          .kernel = {kernel, kernel},
          .stride = {stride, stride},
          .pad = {pad, pad}};
}

Pooling pool(int64_t kernel, int64_t stride, int64_t pad, bool ceil) {
  return {Pooling::Kind::max, {kernel, kernel}, {stride, stride}, {pad, pad}, ceil};
}

TEST(Infer, Convolution) {
  EXPECT_EQ(dst(conv(64, 7, 2, 3), {{1, 3, 224, 224}, {64, 3, 7, 7}}), (Shape{1, 64, 112, 112}));
  EXPECT_EQ(dst(conv(16, 3, 1, 1), {{128, 3, 32, 32}, {16, 3, 3, 3}}), (Shape{128, 16, 32, 32}));
  EXPECT_EQ(dst(conv(32, 3, 2, 1), {{2, 16, 33, 32}, {32, 16, 3, 3}}), (Shape{2, 32, 17, 16}));
  Convolution dilated = conv(4, 3, 1, 0);
  dilated.dilation = {2, 3};
  dilated.groups = 2;
  EXPECT_EQ(dst(dilated, {{1, 6, 9, 9}, {4, 3, 3, 3}}), (Shape{1, 4, 5, 3}));
}

TEST(Infer, ConvolutionErrorsSayWhat) {
  EXPECT_EQ(
      error(conv(8, 5, 1, 0), {{1, 3, 4, 4}, {8, 3, 5, 5}}),
      "Convolution: kernel of extent 5 is larger than its padded input of extent 4; src has shape "
      "(1,3,4,4)");
  EXPECT_EQ(error(conv(8, 3, 1, 1), {{1, 3, 4, 4}, {8, 4, 3, 3}}),
            "Convolution: weights has shape (8,4,3,3), expected (8,3,3,3)");
  EXPECT_EQ(error(conv(8, 3, 1, 1), {{1, 3, 4, 4}}), "Convolution: expects 2 inputs, got 1");
  Convolution grouped = conv(8, 3, 1, 1);
  grouped.groups = 3;
  EXPECT_EQ(error(grouped, {{1, 4, 4, 4}, {8, 1, 3, 3}}),
            "Convolution: groups = 3 must divide the 4 input and the 8 output channels");
  EXPECT_NE(error(conv(0, 1, 1, 0), {{1, 3, 4, 4}, {0, 3, 1, 1}}), "");
  EXPECT_NE(error(conv(1, 1, 0, 0), {{1, 3, 4, 4}, {1, 3, 1, 1}}), "");
  EXPECT_NE(error(conv(1, 1, 1, 0), {{1, 3, 4}, {1, 3, 1, 1}}), "");
}

TEST(Infer, Pooling) {
  EXPECT_EQ(dst(pool(3, 2, 0, true), {{1, 64, 112, 112}}), (Shape{1, 64, 56, 56}));
  EXPECT_EQ(dst(pool(3, 2, 0, false), {{1, 64, 112, 112}}), (Shape{1, 64, 55, 55}));
  EXPECT_EQ(dst(pool(3, 2, 1, true), {{1, 1, 12, 13}}), (Shape{1, 1, 7, 7}));
  EXPECT_EQ(dst(pool(2, 2, 1, true), {{1, 1, 5, 6}}), (Shape{1, 1, 3, 4}));  // last window dropped
  EXPECT_NE(error(pool(7, 1, 0, true), {{1, 1, 6, 6}}), "");
  EXPECT_NE(error(pool(2, 1, 2, true), {{1, 1, 6, 6}}), "");
  EXPECT_NE(error(pool(1, 3, 0, true), {{1, 1, 5, 5}}), "");  // would start outside the input
  Pooling indexed = pool(3, 2, 0, true);
  indexed.has_index = true;
  EXPECT_EQ(infer(indexed, f32({{1, 2, 5, 5}}))[1].dtype, DType::u8);
  indexed.kernel = {16, 16};
  EXPECT_EQ(infer(indexed, f32({{1, 2, 16, 16}}))[1].dtype, DType::i32);
}

TEST(Infer, InnerProduct) {
  EXPECT_EQ(dst(InnerProduct{.num_output = 10}, {{5, 64, 1, 1}, {10, 64}}), (Shape{5, 10}));
  EXPECT_EQ(dst(InnerProduct{.num_output = 3, .axis = 2}, {{2, 3, 4, 5}, {3, 20}}),
            (Shape{2, 3, 3}));
  EXPECT_EQ(dst(InnerProduct{.num_output = 7, .transpose = true}, {{3, 8}, {8, 7}}), (Shape{3, 7}));
  EXPECT_EQ(error(InnerProduct{.num_output = 10}, {{5, 64}, {10, 63}}),
            "InnerProduct: weights has shape (10,63), expected (10,64)");
}

TEST(Infer, BatchNorm) {
  BatchNorm op{.group_size = 2, .gamma = true, .beta = true, .relu = true, .has_mask = true};
  const auto out = infer(op, f32({{6, 5, 3, 3}, {5}, {5}}));
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1].shape, (Shape{3, 2, 5}));
  EXPECT_EQ(out[2].shape, (Shape{2, 5}));
  EXPECT_EQ(out[3].shape, (Shape{34}));  // 270 bits
  EXPECT_EQ(out[3].dtype, DType::u8);
  EXPECT_EQ(error(op, {{5, 5, 3, 3}, {5}, {5}}),
            "BatchNorm: the batch of 5 is not a multiple of group_size = 2");
  EXPECT_EQ(error(BatchNorm{.gamma = true}, {{2, 5}, {4}}),
            "BatchNorm: gamma has shape (4), expected (5)");
}

TEST(Infer, LabelsMatchScores) {
  const SoftmaxLoss loss;
  EXPECT_EQ(error(loss, {{6, 5}, {6}}), "");
  EXPECT_EQ(error(loss, {{6, 5}, {6, 1, 1, 1}}), "");
  EXPECT_EQ(error(loss, {{6, 5, 1, 1}, {6}}), "");
  EXPECT_EQ(error(loss, {{1, 5}, {1}}), "");
  EXPECT_EQ(error(loss, {{2, 5, 3, 4}, {2, 1, 3, 4}}), "");
  EXPECT_EQ(
      error(loss, {{6, 5}, {5}}),
      "SoftmaxLoss: labels have shape (5), which does not match scores of shape (6,5) without "
      "axis 1");
  EXPECT_NE(error(Accuracy{.top_k = 6}, {{6, 5}, {6}}), "");
}

TEST(Infer, DataMovement) {
  EXPECT_EQ(dst(Concat{}, {{2, 3, 4}, {2, 5, 4}}), (Shape{2, 8, 4}));
  EXPECT_NE(error(Concat{}, {{2, 3, 4}, {2, 5, 5}}), "");
  EXPECT_NE(error(Concat{}, {{2, 3, 4}, {2}}), "");
  EXPECT_EQ(dst(Slice{1, 1, 2}, {{2, 3, 4}}), (Shape{2, 2, 4}));
  EXPECT_NE(error(Slice{1, 2, 2}, {{2, 3, 4}}), "");
  EXPECT_NE(error(Reshape{Shape{5}}, {{2, 3}}), "");
  EXPECT_EQ(dst(IdentityShortcut{2, 32}, {{1, 16, 9, 8}}), (Shape{1, 32, 5, 4}));
  EXPECT_NE(error(IdentityShortcut{2, 8}, {{1, 16, 9, 8}}), "");
}

TEST(Infer, OutputsAreFreeToHaveAnyLayoutAndKeepTheType) {
  const auto out = infer(Relu{}, {{Shape{2, 3}, DType::f64, Layout::blocked(16)}});
  EXPECT_EQ(out[0], (TensorDesc{Shape{2, 3}, DType::f64, Layout::any()}));
}

TEST(MultiplyAdds, CountsAsThePaper) {
  EXPECT_EQ(multiply_adds(conv(64, 7, 2, 3), f32({{1, 3, 224, 224}, {64, 3, 7, 7}})), 118013952);
  EXPECT_EQ(multiply_adds(InnerProduct{.num_output = 1000}, f32({{2, 2048}, {1000, 2048}})),
            4096000);
  EXPECT_EQ(multiply_adds(Relu{}, f32({{2, 3}})), 0);
  Convolution grouped = conv(32, 3, 1, 1);
  grouped.groups = 4;
  EXPECT_EQ(multiply_adds(grouped, f32({{1, 32, 8, 8}, {32, 8, 3, 3}})), 32 * 64 * 8 * 9);
}

TEST(Signature, ListsOperandsOfEveryPass) {
  using Kind = Operand::Kind;
  const BatchNorm op{.gamma = true, .beta = true, .add = true, .relu = true, .has_mask = true};
  const auto s = signature(op, Pass::backward, 4);
  ASSERT_TRUE(s.has_value());
  // diff_dst, src, saved, gamma, mask -> diff_src, diff_gamma, diff_beta, diff_addend
  const std::vector<Operand> in{{Kind::diff_output, 0},
                                {Kind::input, 0},
                                {Kind::output, 1},
                                {Kind::input, 1},
                                {Kind::output, 3}};
  const std::vector<Operand> out{
      {Kind::diff_input, 0}, {Kind::diff_input, 1}, {Kind::diff_input, 2}, {Kind::diff_input, 3}};
  EXPECT_EQ(s->in, in);
  EXPECT_EQ(s->out, out);
  EXPECT_FALSE(signature(op, Pass::recompute, 4).has_value());
  EXPECT_FALSE(signature(Eltwise{}, Pass::backward, 2).has_value());
  EXPECT_FALSE(signature(Pooling{}, Pass::backward, 1).has_value());  // maximum without its index
}

TEST(DescribePass, ClearsTheBiasOfDataGradients) {
  Convolution op = conv(16, 3, 1, 1);
  op.bias = true;
  const OpDesc desc =
      describe_pass(op, Pass::backward_data, f32({{2, 3, 8, 8}, {16, 3, 3, 3}, {16}}));
  EXPECT_FALSE(std::get<Convolution>(desc.op).bias);
  ASSERT_EQ(desc.out.size(), 1u);
  EXPECT_EQ(desc.out[0].shape, (Shape{2, 3, 8, 8}));
  EXPECT_THROW(describe_pass(Relu{}, Pass::backward_data, f32({{2}})), InternalError);
}

TEST(Names, DescribeOps) {
  EXPECT_STREQ(name_of(Op(Convolution{})), "Convolution");
  EXPECT_STREQ(name_of(Op(SgdUpdate{})), "SgdUpdate");
  EXPECT_STREQ(name_of(Op(Fill{})), "Fill");
  EXPECT_EQ(describe(conv(16, 3, 1, 1)), "k3x3 s1x1 p1x1 o16");
  OpDesc desc = describe_pass(Relu{}, Pass::forward, f32({{2, 3}}));
  desc.accumulate = {true};
  EXPECT_EQ(desc.str(), "Relu forward: f32 (2,3) nchw -> f32 (2,3) any +=0");
}

}  // namespace
}  // namespace resnet
