// 10-crop and dense scores against what PyTorch computes from the same weights and images;
// tools/dev/protocol_torch.py defines both and writes protocol_scores.txt.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "net/small_nets.h"
#include "resnet/eval/protocol.h"
#include "train/integer_hash.h"

namespace resnet::testing {
namespace {

const char* const kNet = R"(
    layer { name: "data" type: "Input" top: "data"
            input_param { shape { dim: 1 dim: 3 dim: 12 dim: 12 } } }
    layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
            convolution_param { num_output: 6 kernel_size: 3 pad: 1 bias_term: false } }
    layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }
    layer { name: "scale1" type: "Scale" bottom: "conv1" top: "conv1"
            scale_param { bias_term: true } }
    layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
    layer { name: "max" type: "Pooling" bottom: "conv1" top: "max"
            pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
    layer { name: "conv2" type: "Convolution" bottom: "max" top: "conv2"
            convolution_param { num_output: 8 kernel_size: 3 stride: 2 pad: 1 bias_term: false } }
    layer { name: "bn2" type: "BatchNorm" bottom: "conv2" top: "conv2" }
    layer { name: "scale2" type: "Scale" bottom: "conv2" top: "conv2"
            scale_param { bias_term: true } }
    layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
    layer { name: "pool" type: "Pooling" bottom: "conv2" top: "pool"
            pooling_param { pool: AVE global_pooling: true } }
    layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
            inner_product_param { num_output: 5 } }
    layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" })";

NamedBlob hashed(const std::string& layer, int index, const Shape& shape, uint32_t stream,
                 double offset, double factor) {
  NamedBlob blob{layer, index, shape, false, {}};
  for (uint32_t i = 0; i < static_cast<uint32_t>(shape.count()); ++i) {
    blob.data.push_back(static_cast<float>(offset + factor * unit(stream, i)));
  }
  return blob;
}

NamedBlob weight(const std::string& layer, const Shape& shape, uint32_t k, float share = 1) {
  const double bound = std::sqrt(6.0 / static_cast<double>(shape.count_from(1)));
  NamedBlob blob = hashed(layer, 0, shape, k, 0, bound);
  for (float& value : blob.data) value *= share;
  return blob;
}

void add_batch_norm(WeightSet* set, const std::string& number, int64_t channels, uint32_t k) {
  const Shape shape{channels};
  set->blobs.push_back(hashed("bn" + number, 0, shape, 100 + k, 0, 0.2));
  set->blobs.push_back(hashed("bn" + number, 1, shape, 200 + k, 1, 0.5));
  set->blobs.push_back({"bn" + number, 2, {1}, false, {1.0F}});
  set->blobs.push_back(hashed("scale" + number, 0, shape, 300 + k, 1, 0.3));
  set->blobs.push_back(hashed("scale" + number, 1, shape, 400 + k, 0, 0.2));
}

WeightSet weights() {
  WeightSet set;
  set.blobs = {weight("conv1", {6, 3, 3, 3}, 0), weight("conv2", {8, 6, 3, 3}, 1),
               weight("fc", {5, 8}, 2, 0.25F), hashed("fc", 1, {5}, 500, 0, 0.3)};
  add_batch_norm(&set, "1", 6, 0);
  add_batch_norm(&set, "2", 8, 1);
  return set;
}

Record image(uint32_t n, int64_t height, int64_t width) {
  Record record;
  record.key = std::to_string(n);
  record.shape = {3, height, width};
  for (uint32_t i = 0; i < static_cast<uint32_t>(record.shape.count()); ++i) {
    record.bytes.push_back(static_cast<uint8_t>(draw(1000 + n, i) % 256));
  }
  return record;
}

Scorer scorer(const Protocol& protocol, const std::string& backend) {
  Preprocessing rule;
  rule.add_mean_value(120);
  rule.set_scale(0.02F);
  return {parse_net(kNet), {}, std::shared_ptr<Backend>(make_backend(backend)), weights(), rule, {},
          protocol,        4};
}

class ProtocolParity : public ::testing::TestWithParam<std::string> {};

TEST_P(ProtocolParity, ScoresArePyTorchs) {
  std::ifstream file(std::string(RESNET_SOURCE_DIR) + "/tests/train/protocol_scores.txt");
  int compared = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    std::string kind, average;
    uint32_t n = 0;
    int64_t height = 0, width = 0;
    words >> kind >> average >> n >> height >> width;
    const Protocol protocol{
        .kind = parse_protocol(kind),
        .average = average == "logits" ? ScoreKind::logits : ScoreKind::probabilities};
    Scorer own = scorer(protocol, GetParam());
    const std::vector<double> scores =
        own.scores(std::vector<Record>{image(n, height, width)}).front();
    ASSERT_EQ(scores.size(), 5U);
    for (const double score : scores) {
      double wanted = 0;
      words >> wanted;
      EXPECT_NEAR(score, wanted, 1e-4) << line;
    }
    EXPECT_FALSE(words.fail()) << line;
    ++compared;
  }
  EXPECT_EQ(compared, 16);
}

INSTANTIATE_TEST_SUITE_P(Backends, ProtocolParity, ::testing::Values("reference", "onednn"));

}  // namespace
}  // namespace resnet::testing
