// The published ResNet-50, 101 and 152 against what PyTorch computes from the same weights and image.
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "exchange/published_net.h"
#include "resnet/backend/backend.h"
#include "resnet/eval/weights.h"
#include "resnet/io/prototxt.h"

namespace resnet::testing {
namespace {

// Every fifth score of a net, from published_logits.txt: lines "DEPTH SCORES..".
std::vector<double> scores_of_pytorch(int depth) {
  std::ifstream file(std::string(RESNET_SOURCE_DIR) + "/tests/exchange/published_logits.txt");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::istringstream words(line);
    int number = 0;
    words >> number;
    if (number != depth) continue;
    std::vector<double> scores;
    for (double score = 0; words >> score;) scores.push_back(score);
    return scores;
  }
  return {};
}

HostArray scores_of(const NetParameter& param, const WeightSet& weights) {
  Net net(param, std::shared_ptr<Backend>(make_backend("onednn")), {}, {}, {});
  EXPECT_TRUE(load_weights(net, weights).unused.empty());
  Session& session = net.session(TEST, 1, {}, {"fc1000"});
  const std::vector<float> image = PublishedNet::image();
  std::copy(image.begin(), image.end(), net.input(session, "data").as<float>());
  net.forward(session);
  return net.read(session, "fc1000");
}

class Published : public ::testing::TestWithParam<int> {};

TEST_P(Published, ScoresArePyTorchs) {
  const PublishedNet published(GetParam());
  const std::vector<double> wanted = scores_of_pytorch(GetParam());
  ASSERT_EQ(wanted.size(), 200U);
  const HostArray scores = scores_of(parse_net_prototxt(published.text()), published.weights());
  ASSERT_EQ(scores.shape, (Shape{1, 1000}));
  double largest = 0, error = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    largest = std::max(largest, std::abs(wanted[i]));
    error = std::max(error, std::abs(static_cast<double>(scores.data[5 * i]) - wanted[i]));
  }
  EXPECT_LE(error, 1e-4 * largest) << "of scores up to " << largest;
  RecordProperty("largest_error", std::to_string(error / largest));
}

// The form that is written here is that of the published files, message for message.
TEST_P(Published, TextIsThePublishedOne) {
  const char* const folder = std::getenv("RESNET_PUBLISHED_NETS");
  if (folder == nullptr) {
    GTEST_SKIP() << "RESNET_PUBLISHED_NETS names no folder with the published prototxt files";
  }
  const NetParameter file = read_net_prototxt(std::string(folder) + "/ResNet-" +
                                              std::to_string(GetParam()) + "-deploy.prototxt");
  const NetParameter own = parse_net_prototxt(PublishedNet(GetParam()).text());
  std::string difference;
  google::protobuf::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(file, own)) << difference.substr(0, 2000);
}

INSTANTIATE_TEST_SUITE_P(Depths, Published, ::testing::Values(50, 101, 152));

}  // namespace
}  // namespace resnet::testing
