// 1-crop, 10-crop and dense scores against plain loops: every window cut out by hand and shown to the
// plain net, averages taken by hand.
#include "resnet/eval/protocol.h"

#include "net/small_nets.h"
#include "resnet/base/error.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

using testing::parse_net;

constexpr int64_t kSide = 12;  // of the net's training input
const Shape kImage{3, kSide, kSide};

// Features of a quarter of the size, odd padding included: a window's scores are those of the dense
// net only without padding, so there is none.
const char* const kNet = R"(
    layer { name: "data" type: "Data" top: "data" top: "label"
            data_param { source: "nowhere" batch_size: 2 } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "msra" } } }
    layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
    layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "conv2" type: "Convolution" bottom: "conv1" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 2 stride: 2
                                weight_filler { type: "msra" } } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
            pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
            inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" })";

Preprocessing preprocessing() {
  Preprocessing rule;
  for (const float mean : {104.0F, 117.0F, 123.0F}) rule.add_mean_value(mean);
  rule.set_scale(0.02F);
  return rule;
}

Record random_image(int64_t height, int64_t width, uint64_t seed) {
  Record image;
  image.key = std::to_string(seed);
  image.shape = {3, height, width};
  Random random(seed, 0, Use::test);
  for (int64_t i = 0; i < image.shape.count(); ++i) {
    image.bytes.push_back(static_cast<uint8_t>(random.below(256)));
  }
  return image;
}

std::vector<Record> odd_images() {
  return {random_image(25, 17, 1), random_image(14, 31, 2), random_image(19, 19, 3)};
}

WeightSet weights() {
  const ScoringNet plain = scoring_net(parse_net(kNet), {}, kImage, ScoreKind::logits);
  Net net(plain.net, std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {});
  net.initialize(7);
  WeightSet set;
  for (size_t p = 0; p < net.parameters().size(); ++p) {
    const Parameter& parameter = net.parameters()[p];
    HostArray values = net.read_parameter(static_cast<int>(p));
    if (!parameter.learnable)
      values.data.assign(values.data.size(), parameter.role == "mean" ? 0.1F : 2.0F);
    set.blobs.push_back(
        {parameter.layer, parameter.blob, values.shape, false, std::move(values.data)});
  }
  return set;
}

Scorer scorer(const Protocol& protocol, const std::string& backend = "reference",
              int64_t batch = 4) {
  return {parse_net(kNet),
          {},
          std::shared_ptr<Backend>(make_backend(backend)),
          weights(),
          preprocessing(),
          kImage,
          protocol,
          batch};
}

using Scores = std::vector<double>;

// The plain net on one window, on `reference`.
class PlainNet {
 public:
  explicit PlainNet(ScoreKind kind)
      : scoring_(scoring_net(parse_net(kNet), {}, kImage, kind)),
        net_(scoring_.net, std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {}) {
    load_weights(net_, weights());
  }

  Scores scores(const Record& image, int64_t top, int64_t left, bool mirrored) {
    Session& session =
        net_.session(TEST, 0, {{scoring_.input, Shape{1, 3, kSide, kSide}}}, {scoring_.scores});
    float* input = net_.input(session, scoring_.input).as<float>();
    const float means[] = {104, 117, 123};
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t y = 0; y < kSide; ++y) {
        for (int64_t x = 0; x < kSide; ++x) {
          const int64_t from = left + (mirrored ? kSide - 1 - x : x);
          const auto at = (c * image.shape[1] + top + y) * image.shape[2] + from;
          *input++ = (static_cast<float>(image.bytes[static_cast<size_t>(at)]) - means[c]) * 0.02F;
        }
      }
    }
    net_.forward(session);
    const HostArray values = net_.read(session, scoring_.scores);
    return {values.data.begin(), values.data.end()};
  }

 private:
  ScoringNet scoring_;
  Net net_;
};

Scores mean_of(const std::vector<Scores>& all) {
  Scores mean(all[0].size());
  for (const Scores& one : all) {
    for (size_t k = 0; k < mean.size(); ++k) mean[k] += one[k] / static_cast<double>(all.size());
  }
  return mean;
}

// Dense positions two pixels apart (the features' stride); those of the mirror image likewise.
Scores dense_by_hand(PlainNet& net, const Record& image) {
  std::vector<Scores> views;
  for (const bool mirrored : {false, true}) {
    std::vector<Scores> positions;
    for (int64_t top = 0; top + kSide <= image.shape[1]; top += 2) {
      for (int64_t left = 0; left + kSide <= image.shape[2]; left += 2) {
        const int64_t from = mirrored ? image.shape[2] - kSide - left : left;
        positions.push_back(net.scores(image, top, from, mirrored));
      }
    }
    views.push_back(mean_of(positions));
  }
  return mean_of(views);
}

Scores ten_crops_by_hand(PlainNet& net, const Record& image) {
  const int64_t down = image.shape[1] - kSide, right = image.shape[2] - kSide;
  std::vector<Scores> crops;
  for (const bool mirrored : {false, true}) {
    crops.push_back(net.scores(image, 0, 0, mirrored));
    crops.push_back(net.scores(image, 0, right, mirrored));
    crops.push_back(net.scores(image, down, 0, mirrored));
    crops.push_back(net.scores(image, down, right, mirrored));
    crops.push_back(net.scores(image, down / 2, right / 2, mirrored));
  }
  return mean_of(crops);
}

Record at_scale(Record image, int64_t scale) {
  Preprocessing rule;
  rule.set_resize_rule(Preprocessing::SHORT_SIDE);
  rule.set_resize_size(static_cast<uint32_t>(scale));
  resize(image, rule);
  return image;
}

void expect_near(const Scores& actual, const Scores& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t k = 0; k < actual.size(); ++k) EXPECT_NEAR(actual[k], expected[k], tolerance);
}

TEST(Protocol, TenCrops) {
  for (const ScoreKind kind : {ScoreKind::probabilities, ScoreKind::logits}) {
    PlainNet net(kind);
    for (const std::string backend : {"reference", "onednn"}) {
      Scorer ten = scorer({.kind = Protocol::Kind::ten_crop, .average = kind}, backend);
      EXPECT_EQ(ten.classes(), 4);
      const std::vector<Record> images = odd_images();
      const auto scores = ten.scores(images);
      for (size_t i = 0; i < images.size(); ++i) {
        expect_near(scores[i], ten_crops_by_hand(net, images[i]), 1e-5);
      }
    }
  }
}

TEST(Protocol, DenseAtSeveralScales) {
  PlainNet net(ScoreKind::probabilities);
  for (const std::string backend : {"reference", "onednn"}) {
    Scorer dense = scorer({.kind = Protocol::Kind::dense, .scales = {12, 15, 22}}, backend);
    const std::vector<Record> images = odd_images();
    const auto scores = dense.scores(images);
    for (size_t i = 0; i < images.size(); ++i) {
      std::vector<Scores> scales;
      for (const int64_t scale : {12, 15, 22}) {
        scales.push_back(dense_by_hand(net, at_scale(images[i], scale)));
      }
      expect_near(scores[i], mean_of(scales), 1e-5);
    }
  }
}

TEST(Protocol, DenseOnATrainingImageIsTheCentreCrop) {
  const std::vector<Record> images = {random_image(kSide, kSide, 4)};
  Scorer dense = scorer({.kind = Protocol::Kind::dense, .mirror = false});
  Scorer centre = scorer({.kind = Protocol::Kind::one_crop});
  expect_near(dense.scores(images)[0], centre.scores(images)[0], 1e-6);
}

// Bit-identical whatever images come together; the batch may change the last digits.
TEST(Protocol, ScoresDoNotDependOnTheCompany) {
  for (const auto kind :
       {Protocol::Kind::one_crop, Protocol::Kind::ten_crop, Protocol::Kind::dense}) {
    const Protocol protocol{.kind = kind, .scales = {13, 18}};
    Scorer four = scorer(protocol, "onednn"), seven = scorer(protocol, "onednn", 7);
    const std::vector<Record> images = odd_images();
    const std::vector<Record> reversed(images.rbegin(), images.rend());
    const auto scores = four.scores(images), others = four.scores(reversed);
    const auto larger = seven.scores(images);
    for (size_t i = 0; i < images.size(); ++i) {
      EXPECT_EQ(scores[i], others[images.size() - 1 - i]);
      EXPECT_EQ(scores[i], four.scores(std::span(images).subspan(i, 1))[0]);
      expect_near(larger[i], scores[i], 1e-6);
    }
  }
}

TEST(Protocol, SaysWhatItDoes) {
  EXPECT_EQ((Protocol{.kind = parse_protocol("dense"), .scales = {224, 256}}).str(),
            "dense at 224,256, average of probabilities");
  EXPECT_EQ((Protocol{.kind = parse_protocol("1crop"), .scales = {256}}).str(), "1crop at 256");
  EXPECT_THROW(parse_protocol("5crop"), ConfigError);
}

TEST(Protocol, RefusesWhatDoesNotFit) {
  EXPECT_THROW(scorer({.kind = Protocol::Kind::dense, .scales = {11}}), ConfigError);
  Scorer centre = scorer({.kind = Protocol::Kind::one_crop});
  EXPECT_THROW(centre.scores(std::vector<Record>{random_image(11, 30, 1)}), DataError);
  Record grey = random_image(20, 20, 1);
  grey.shape = {1, 20, 60};
  EXPECT_THROW(centre.scores(std::vector<Record>{grey}), DataError);
}

}  // namespace
}  // namespace resnet
