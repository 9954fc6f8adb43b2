// A net's scores alone, and the net applied densely, against the plain net and its windows.
#include "resnet/eval/scoring_net.h"

#include "net/small_nets.h"
#include "resnet/base/error.h"
#include "resnet/eval/weights.h"

namespace resnet {
namespace {

using testing::parse_net;
using testing::relative_error;

// Images of 12x12; `end`: what follows the features of 4x4 pixels, up to the blob "fc".
std::string net_text(const std::string& end) {
  return R"(
    layer { name: "data" type: "Data" top: "data" top: "label"
            data_param { source: "nowhere" batch_size: 2 } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 5 kernel_size: 3 stride: 3
                                weight_filler { type: "msra" } } }
    layer { name: "relu" type: "ReLU" bottom: "conv1" top: "conv1" })" +
         end + R"(
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
    layer { name: "accuracy" type: "Accuracy" bottom: "fc" bottom: "label" top: "accuracy" })";
}

const char* const kClassifier = R"(
    layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
            inner_product_param { num_output: 3 weight_filler { type: "xavier" } } })";
const std::string kGlobal = net_text(std::string(R"(
    layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool"
            pooling_param { pool: AVE global_pooling: true } })") +
                                     kClassifier);
const std::string kWindow = net_text(std::string(R"(
    layer { name: "pool" type: "Pooling" bottom: "conv1" top: "pool"
            pooling_param { pool: AVE kernel_size: 4 stride: 1 } })") +
                                     kClassifier);
const std::string kFlatten = net_text(R"(
    layer { name: "flat" type: "Flatten" bottom: "conv1" top: "flat" }
    layer { name: "fc1" type: "InnerProduct" bottom: "flat" top: "fc1"
            inner_product_param { num_output: 6 weight_filler { type: "xavier" } } }
    layer { name: "fc1_relu" type: "ReLU" bottom: "fc1" top: "fc1" }
    layer { name: "fc" type: "InnerProduct" bottom: "fc1" top: "fc"
            inner_product_param { num_output: 3 weight_filler { type: "xavier" } } })");

const Shape kImage{3, 12, 12};

GraphOptions test_phase() {
  GraphOptions options;
  options.phase = TEST;
  options.input_shapes = {{"data", Shape{1, 3, 12, 12}}, {"label", Shape{1}}};
  return options;
}

// The weights of all these nets: the fillers' with seed 7.
WeightSet weights_of(const std::string& text) {
  const ScoringNet plain = scoring_net(parse_net(text), test_phase(), kImage, ScoreKind::logits);
  Net net(plain.net, std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {});
  net.initialize(7);
  WeightSet weights;
  for (size_t p = 0; p < net.parameters().size(); ++p) {
    const Parameter& parameter = net.parameters()[p];
    HostArray values = net.read_parameter(static_cast<int>(p));
    weights.blobs.push_back(
        {parameter.layer, parameter.blob, values.shape, false, std::move(values.data)});
  }
  return weights;
}

HostArray scores_of(const ScoringNet& scoring, const std::string& text, const Shape& shape,
                    const std::vector<float>& image) {
  Net net(scoring.net, std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {});
  WeightSet weights = weights_of(text);
  adapt_weights(scoring, &weights);
  load_weights(net, weights);
  Session& session = net.session(TEST, 0, {{scoring.input, shape}}, {scoring.scores});
  std::copy(image.begin(), image.end(), net.input(session, scoring.input).as<float>());
  net.forward(session);
  return net.read(session, scoring.scores);
}

std::vector<float> random_image(int64_t height, int64_t width) {
  Random random(5, 0, Use::test);
  std::vector<float> image(static_cast<size_t>(3 * height * width));
  for (float& value : image) value = static_cast<float>(random.uniform()) - 0.5F;
  return image;
}

// The image's 12x12 window with this corner.
std::vector<float> window_of(const std::vector<float>& image, int64_t height, int64_t width,
                             int64_t top, int64_t left) {
  std::vector<float> window;
  for (int64_t c = 0; c < 3; ++c) {
    for (int64_t y = 0; y < 12; ++y) {
      const auto row = image.begin() + (c * height + top + y) * width + left;
      window.insert(window.end(), row, row + 12);
    }
  }
  return window;
}

TEST(ScoringNet, KeepsWhatTheScoresNeed) {
  const ScoringNet logits =
      scoring_net(parse_net(kGlobal), test_phase(), kImage, ScoreKind::logits);
  EXPECT_EQ(logits.scores, "fc");
  EXPECT_EQ(logits.net.layer_size(), 5);  // without loss and accuracy
  EXPECT_EQ(logits.net.layer(0).type(), "Input");
  const ScoringNet probabilities =
      scoring_net(parse_net(kGlobal), test_phase(), kImage, ScoreKind::probabilities);
  EXPECT_EQ(probabilities.net.layer_size(), 6);
  const HostArray scores = scores_of(probabilities, kGlobal, {1, 3, 12, 12}, random_image(12, 12));
  EXPECT_NEAR(scores.data[0] + scores.data[1] + scores.data[2], 1, 1e-6);
}

TEST(ScoringNet, DenseOnATrainingImageEqualsThePlainNet) {
  for (const std::string& text : {kGlobal, kWindow, kFlatten}) {
    for (const ScoreKind kind : {ScoreKind::logits, ScoreKind::probabilities}) {
      const std::vector<float> image = random_image(12, 12);
      const HostArray plain = scores_of(scoring_net(parse_net(text), test_phase(), kImage, kind),
                                        text, {1, 3, 12, 12}, image);
      const HostArray dense = scores_of(dense_net(parse_net(text), test_phase(), kImage, kind),
                                        text, {1, 3, 12, 12}, image);
      EXPECT_EQ(dense.shape, (Shape{1, 3, 1, 1}));
      EXPECT_LT(relative_error(dense.data, plain.data), 1e-6);
    }
  }
}

// Every position of the dense scores is the plain net on its window: the features' stride is 3.
TEST(ScoringNet, DensePositionsAreWindows) {
  constexpr int64_t height = 21, width = 15;
  const std::vector<float> image = random_image(height, width);
  for (const std::string& text : {kGlobal, kWindow, kFlatten}) {
    const ScoreKind kind = ScoreKind::probabilities;
    const ScoringNet plain = scoring_net(parse_net(text), test_phase(), kImage, kind);
    const HostArray dense = scores_of(dense_net(parse_net(text), test_phase(), kImage, kind), text,
                                      {1, 3, height, width}, image);
    ASSERT_EQ(dense.shape, (Shape{1, 3, 4, 2}));
    for (int64_t y = 0; y < 4; ++y) {
      for (int64_t x = 0; x < 2; ++x) {
        const HostArray one =
            scores_of(plain, text, {1, 3, 12, 12}, window_of(image, height, width, 3 * y, 3 * x));
        for (int64_t k = 0; k < 3; ++k) {
          EXPECT_NEAR(dense.data[static_cast<size_t>((k * 4 + y) * 2 + x)],
                      one.data[static_cast<size_t>(k)], 1e-6);
        }
      }
    }
  }
}

TEST(ScoringNet, RefusesNetsWithoutOneInput) {
  const std::string two = R"(
    layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
    layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
    layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" })";
  EXPECT_THROW(scoring_net(parse_net(two), {}, {}, ScoreKind::logits), ConfigError);
}

}  // namespace
}  // namespace resnet
