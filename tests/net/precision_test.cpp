// Nets with activations in 16 bits: types and conversions of the plan, and training beside float32.
#include <algorithm>

#include "net/small_nets.h"
#include "resnet/net/trainer.h"

namespace resnet {
namespace {

using testing::fill_inputs;
using testing::parse_net;
using testing::relative_error;
using testing::residual_net;

std::unique_ptr<Net> make_net(DType math, int shards = 1, const std::string& backend = "reference",
                              int channels = 4) {
  NetOptions options;
  options.plan.math = math;
  options.plan.shards = shards;
  auto net = std::make_unique<Net>(parse_net(residual_net(8, channels)),
                                   std::shared_ptr<Backend>(make_backend(backend)), options,
                                   std::map<std::string, Shape>{}, std::map<std::string, Shape>{});
  net->initialize(7);
  return net;
}

TEST(Precision, ConvolutionsComputeInSixteenBits) {
  const auto net = make_net(DType::bf16);
  const Graph& graph = net->program(net->session(TRAIN)).graph;
  int convolutions = 0, conversions = 0;
  for (const Node& node : graph.nodes) {
    const auto type = [&](ValueId v) { return graph.value(v).desc.dtype; };
    if (std::holds_alternative<Convolution>(node.op)) {
      ++convolutions;
      EXPECT_EQ(type(node.in[0]), DType::bf16);
      EXPECT_EQ(type(node.in[1]), DType::bf16);
      EXPECT_EQ(type(node.out[0]), node.pass == Pass::backward_weights ? DType::f32 : DType::bf16);
    }
    if (std::holds_alternative<BatchNorm>(node.op) && node.pass == Pass::forward) {
      EXPECT_EQ(type(node.out[0]), DType::bf16);
      EXPECT_EQ(type(node.out[1]), DType::f32);
    }
    if (std::holds_alternative<InnerProduct>(node.op)) {
      EXPECT_EQ(type(node.in[0]), DType::f32);
    }
    const auto* reorder = std::get_if<Reorder>(&node.op);
    conversions += reorder != nullptr && reorder->type.has_value();
  }
  EXPECT_EQ(convolutions, 3 * 7 + 2);  // 8 of them, the first without a gradient of its input
  EXPECT_EQ(conversions, 3);           // of the images, before the classifier, and of its gradient
}

// Losses of a few steps and the weights that they lead to.
struct Trained {
  std::vector<double> losses;
  std::vector<float> weights;
};

Trained train(Net& net, int steps) {
  Session& session = net.session(TRAIN);
  Trainer trainer(net, {});
  Trained result;
  for (int step = 0; step < steps; ++step) {
    const Update update{.rate = 0.05, .momentum = 0.9, .weight_decay = 1e-3};
    trainer.begin(std::span(&update, 1));
    trainer.iterate([&] { fill_inputs(net, session, static_cast<uint64_t>(step % 3)); });
    trainer.end();
    const Trainer::Chunk chunk = *trainer.take(true);
    result.losses.push_back(total_loss(chunk.batches.at(0)));
    EXPECT_EQ(chunk.skipped, 0);
  }
  for (size_t i = 0; i < net.parameters().size(); ++i) {
    const std::vector<float> values = net.read_parameter(static_cast<int>(i)).data;
    result.weights.insert(result.weights.end(), values.begin(), values.end());
  }
  return result;
}

TEST(Precision, TrainsAsFloat32UpToRounding) {
  constexpr int kSteps = 5;  // later, differences have grown with the steps
  const Trained exact = train(*make_net(DType::f32), kSteps);
  for (const auto& [type, tolerance] : {std::pair{DType::bf16, 4e-2}, {DType::f16, 5e-3}}) {
    SCOPED_TRACE(name_of(type));
    const Trained low = train(*make_net(type), kSteps);
    for (int i = 0; i < kSteps; ++i) {
      EXPECT_NEAR(low.losses[static_cast<size_t>(i)], exact.losses[static_cast<size_t>(i)],
                  tolerance);
    }
    EXPECT_LT(relative_error(low.weights, exact.weights), tolerance);
    EXPECT_NE(low.weights, exact.weights);
  }
}

// Why onednn computes nothing in bf16 on this machine, or "".
std::string obstacle_of_onednn() {
  const TensorDesc values{.shape = {1, 1, 1, 1}, .dtype = DType::bf16, .layout = Layout::any()};
  return make_backend("onednn")
      ->supports({.op = Relu{}, .in = {values}, .out = {values}, .accumulate = {}})
      .reason;
}

// Where the update writes no copies of the weights, the program makes them from the weights themselves, each
// in the layout that its reader wants.
TEST(Precision, OnednnDerivesItsWeights) {
  if (const std::string obstacle = obstacle_of_onednn(); !obstacle.empty())
    GTEST_SKIP() << obstacle;
  const auto net = make_net(DType::bf16, 1, "onednn", 16);
  const Program& program = net->program(net->session(TRAIN));
  int conversions = 0;
  for (const Node& node : program.graph.nodes) {
    if (node.section == Section::prepare) {
      ASSERT_TRUE(std::holds_alternative<Reorder>(node.op));
      EXPECT_EQ(program.graph.value(node.in[0]).kind, ValueKind::weight);
      EXPECT_EQ(program.graph.value(node.out[0]).desc.dtype, DType::bf16);
      ++conversions;
    }
    for (const ValueId v : node.in) {
      EXPECT_NE(program.graph.value(v).kind, ValueKind::weight_copy) << node.layer;
    }
  }
  EXPECT_EQ(conversions, 8 + 7);  // of each convolution, and again for gradients of their inputs
}

TEST(Precision, TrainsOnOnednnAsFloat32UpToRounding) {
  if (const std::string obstacle = obstacle_of_onednn(); !obstacle.empty())
    GTEST_SKIP() << obstacle;
  constexpr int kSteps = 5;
  for (const int channels : {4, 16}) {  // row-major, and in blocks of channels
    SCOPED_TRACE(channels);
    const Trained exact = train(*make_net(DType::f32, 1, "reference", channels), kSteps);
    const Trained low = train(*make_net(DType::bf16, 1, "onednn", channels), kSteps);
    for (int i = 0; i < kSteps; ++i) {
      EXPECT_NEAR(low.losses[static_cast<size_t>(i)], exact.losses[static_cast<size_t>(i)], 4e-2);
    }
    EXPECT_LT(relative_error(low.weights, exact.weights), 4e-2);
    EXPECT_NE(low.weights, exact.weights);
    EXPECT_EQ(train(*make_net(DType::bf16, 1, "onednn", channels), kSteps).weights, low.weights);
  }
}

TEST(Precision, ShardsAddUpToTheBatch) {
  const Trained whole = train(*make_net(DType::f16), 2);
  const Trained split = train(*make_net(DType::f16, 2), 2);
  EXPECT_NEAR(split.losses[0], whole.losses[0], 0.5);  // BatchNorm's statistics are per shard
  EXPECT_LT(relative_error(split.weights, whole.weights), 0.3);
}

// Float16 overflows with a loss scale that is too large: the update is left out and the scale halved.
TEST(Precision, OverflowLeavesTheUpdateOut) {
  const auto net = make_net(DType::f16);
  Session& session = net->session(TRAIN);
  Trainer trainer(*net, {});
  const std::vector<float> before = net->read_parameter(0).data;
  const Update update{.rate = 1e-3, .momentum = 0.9};
  trainer.begin(std::span(&update, 1));
  trainer.iterate([&] {
    fill_inputs(*net, session, 1);
    const Tensor images = net->input(session, "data");
    // Normalised, such dark images are as good as others, but gradients before the first normalisation are
    // 10^4 times as large.
    for (int64_t i = 0; i < images.desc.count(); ++i) images.as<float>()[i] *= 1e-4F;
  });
  trainer.end();
  const Trainer::Chunk chunk = *trainer.take(true);
  EXPECT_TRUE(std::isfinite(total_loss(chunk.batches.at(0))));
  EXPECT_EQ(chunk.skipped, 1);
  EXPECT_EQ(chunk.loss_scale, 32768);
  EXPECT_EQ(net->read_parameter(0).data, before);
}

TEST(Precision, TestsWithFoldedNormalisation) {
  const auto exact = make_net(DType::f32), low = make_net(DType::bf16);
  std::vector<float> scores[2];
  for (int i = 0; i < 2; ++i) {
    Net& net = i == 0 ? *exact : *low;
    Session& session = net.session(TEST, 4, {}, {"fc", "c"});
    fill_inputs(net, session, 5);
    net.forward(session);
    scores[i] = net.read(session, "fc").data;
    EXPECT_EQ(net.read(session, "c").data.size(), 4u * 12 * 2 * 2);
  }
  EXPECT_LT(relative_error(scores[1], scores[0]), 4e-2);
}

}  // namespace
}  // namespace resnet
