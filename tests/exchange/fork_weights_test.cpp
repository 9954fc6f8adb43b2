// Weights as forks of Caffe save them: BatchNorms with gamma and beta inside.
#include <algorithm>

#include "io/io_test_util.h"
#include "net/small_nets.h"
#include "resnet/eval/weights.h"
#include "resnet/io/prototxt.h"

namespace resnet::testing {
namespace {

const std::string kNet =
    "layer { name: 'in' type: 'Input' top: 'data' input_param { shape { dim: 1 dim: 3 dim: 5 dim: "
    "5 } } }" +
    conv("conv", "data", 4, 3) + layer("bn", "BatchNorm", "conv", "normed");

std::string with_scale(const std::string& more = "bias_term: true") {
  return kNet + layer("scale", "Scale", "normed", "scaled", "scale_param { " + more + " }");
}

NamedBlob blob(const std::string& layer, int index, Shape shape, float first) {
  NamedBlob out{layer, index, shape, false, {}};
  for (int64_t i = 0; i < shape.count(); ++i) {
    out.data.push_back(first + 0.25F * static_cast<float>(i % 7));
  }
  return out;
}

NamedBlob conv_blob() { return blob("conv", 0, {4, 3, 3, 3}, -0.7F); }

constexpr float kMean = 0.5F, kVariance = 1, kGamma = 2, kBeta = -1;

WeightSet caffes() {
  WeightSet set;
  set.path = "w";
  set.blobs = {conv_blob(),           blob("bn", 0, {4}, kMean),     blob("bn", 1, {4}, kVariance),
               blob("bn", 2, {1}, 1), blob("scale", 0, {4}, kGamma), blob("scale", 1, {4}, kBeta)};
  return set;
}

// As NVIDIA's Caffe 0.16 and later, and Intel's.
WeightSet forks() {
  WeightSet set;
  set.path = "w";
  set.blobs = {conv_blob(),           blob("bn", 0, {4}, kMean),  blob("bn", 1, {4}, kVariance),
               blob("bn", 2, {1}, 1), blob("bn", 3, {4}, kGamma), blob("bn", 4, {4}, kBeta)};
  return set;
}

// As NVIDIA's Caffe 0.15, which DIGITS used.
WeightSet digits() {
  WeightSet set;
  set.path = "w";
  set.blobs = {conv_blob(),
               blob("bn", 0, {1, 4, 1, 1}, kGamma),
               blob("bn", 1, {1, 4, 1, 1}, kBeta),
               blob("bn", 2, {1, 4, 1, 1}, kMean),
               blob("bn", 3, {1, 4, 1, 1}, kVariance),
               blob("bn", 4, {1, 1, 1, 1}, 0)};
  return set;
}

std::vector<float> output(const WeightSet& weights, const std::string& text = with_scale(),
                          const std::string& blob = "scaled") {
  Net net(parse_net_prototxt(text), std::shared_ptr<Backend>(make_backend("reference")), {}, {},
          {});
  const LoadReport report = load_weights(net, weights);
  EXPECT_EQ(report.matched, 6);
  EXPECT_EQ(report.matched_names.size(), 6U);
  Session& session = net.session(TEST, 1, {}, {blob});
  fill_inputs(net, session, 3);
  net.forward(session);
  return net.read(session, blob).data;
}

std::string error(const std::string& net_text, const WeightSet& weights) {
  Net net(parse_net(net_text), std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {});
  net.initialize(1);
  return error_of<DataError>([&] { load_weights(net, weights); });
}

TEST(ForkWeights, GammaAndBetaGoToTheScaleLayer) {
  const std::vector<float> wanted = output(caffes());
  EXPECT_EQ(output(forks()), wanted);
  EXPECT_EQ(output(digits()), wanted);
  // In a net as NVIDIA's Caffe has it, too.
  std::string nvidias = kNet;
  nvidias.insert(nvidias.rfind('}'), "batch_norm_param { scale_bias: true } ");
  EXPECT_EQ(output(forks(), nvidias, "normed"), wanted);
}

TEST(ForkWeights, WithoutAPlaceForThemTheyAreRefused) {
  EXPECT_NE(error(kNet, forks()).find("add a Scale layer with bias_term: true"), std::string::npos);
  EXPECT_NE(error(with_scale(""), forks()).find("set its bias_term: true"), std::string::npos);
  WeightSet twice = forks();
  twice.blobs.push_back(blob("scale", 0, {4}, 1));
  EXPECT_NE(error(with_scale(), twice).find("one too many"), std::string::npos);
  WeightSet lost = forks();
  std::erase_if(lost.blobs, [](const NamedBlob& b) { return b.layer == "bn" && b.index == 1; });
  EXPECT_NE(error(with_scale(), lost).find("has no blob 1"), std::string::npos);
}

// A bias that the net does not add would be lost without a word.
TEST(ForkWeights, ABlobTooManyIsOfAnotherShape) {
  WeightSet biased = caffes();
  biased.blobs.push_back(blob("conv", 1, {4}, 1));
  EXPECT_NE(
      error(with_scale(), biased).find("1 of another shape: conv/blob 1 (file (4), net none)"),
      std::string::npos);
}

TEST(ForkWeights, TheReportHasEveryName) {
  Net net(parse_net(with_scale()), std::shared_ptr<Backend>(make_backend("reference")), {}, {}, {});
  net.initialize(1);
  WeightSet weights = caffes();
  weights.blobs.push_back(blob("other", 0, {2}, 1));
  weights.blobs[5] = blob("scale", 1, {3}, 1);
  weights.blobs.erase(weights.blobs.begin() + 4);
  const LoadReport report = load_weights(net, weights, true);
  EXPECT_EQ(report.details(),
            "matched: conv/weight\nmatched: bn/mean\nmatched: bn/variance\nmatched: bn/factor\n"
            "missing in the file: scale/gamma\nof another shape: scale/beta (file (3), net (4))\n"
            "unused: other");
}

}  // namespace
}  // namespace resnet::testing
