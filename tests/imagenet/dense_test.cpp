// Dense scores of nets as large as ImageNet's: what planning costs and how much memory it holds when
// every image has another size.
#include <malloc.h>

#include <chrono>
#include <cstdio>
#include <numeric>
#include <set>

#include "imagenet/nets.h"
#include "imagenet/process_memory.h"
#include "resnet/base/error.h"
#include "resnet/eval/protocol.h"

namespace resnet {
namespace {

using testing::random_weights;

Record random_image(int64_t height, int64_t width, uint64_t seed) {
  Record image;
  image.key = std::to_string(height) + "x" + std::to_string(width);
  image.shape = {3, height, width};
  Random random(seed, 0, Use::test);
  image.bytes.resize(static_cast<size_t>(image.shape.count()));
  for (uint8_t& pixel : image.bytes) pixel = static_cast<uint8_t>(random.below(256));
  return image;
}

// The shorter sides grow in steps from `shortest` on, aspect ratios go from 3:4 to 2:1 and back.
std::vector<Record> images_of_distinct_sizes(int count, int64_t shortest) {
  constexpr double kAspects[] = {1.0, 1.333, 1.5, 1.25, 1.778, 2.0};
  std::vector<Record> images;
  std::set<std::pair<int64_t, int64_t>> sizes;
  for (int i = 0; static_cast<int>(images.size()) < count; ++i) {
    const int64_t side = shortest + (7 * i) % 256;
    const auto other = static_cast<int64_t>(static_cast<double>(side) * kAspects[i % 6]);
    const bool upright = i % 4 == 3;
    const int64_t height = upright ? other : side, width = upright ? side : other;
    if (!sizes.insert({height, width}).second) continue;
    images.push_back(random_image(height, width, static_cast<uint64_t>(i)));
  }
  return images;
}

Preprocessing preprocessing() {
  Preprocessing rule;
  for (const float mean : {104.0F, 117.0F, 123.0F}) rule.add_mean_value(mean);
  rule.set_scale(0.02F);
  return rule;
}

Scorer dense_scorer(int depth) {
  Protocol protocol;
  protocol.kind = Protocol::Kind::dense;
  return {parse_net_prototxt(cli::deploy_text(cli::imagenet_net(depth))),
          {},
          std::shared_ptr<Backend>(make_backend("onednn")),
          random_weights(depth),
          preprocessing(),
          {},
          protocol,
          1};
}

struct Cost {
  double seconds = 0;
  double planning_share = 0;
  int64_t resident_bytes = 0;  // after the images
};

Cost score_all(Scorer& scorer, std::span<const Record> images) {
  using Clock = std::chrono::steady_clock;
  const double planned_before = scorer.planning_seconds();
  const auto start = Clock::now();
  for (const Record& image : images) scorer.scores(std::span(&image, 1));
  Cost cost;
  cost.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  cost.planning_share = (scorer.planning_seconds() - planned_before) / cost.seconds;
  malloc_trim(0);  // freed memory that the allocator keeps is not held
  cost.resident_bytes = testing::resident_bytes();
  return cost;
}

void print(const char* net, size_t images, const Cost& cost) {
  std::printf("%s, %zu sizes: %.1f s, planning %.1f %%, resident %lld MiB\n", net, images,
              cost.seconds, 100 * cost.planning_share,
              static_cast<long long>(cost.resident_bytes >> 20));
}

// The largest size comes first, so that all further growth is a leak.
void check_costs(int depth, int sizes, int64_t shortest, double most_planning) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer takes memory and time of its own";
  Scorer scorer = dense_scorer(depth);
  std::vector<Record> images = images_of_distinct_sizes(sizes, shortest);
  const auto largest = std::max_element(
      images.begin(), images.end(),
      [](const Record& a, const Record& b) { return a.shape.count() < b.shape.count(); });
  std::iter_swap(images.begin(), largest);
  const size_t early = images.size() / 4;
  const Cost first = score_all(scorer, std::span(images).first(early));
  const Cost rest = score_all(scorer, std::span(images).subspan(early));
  const std::string name = "ResNet-" + std::to_string(depth);
  print(name.c_str(), early, first);
  print(name.c_str(), images.size() - early, rest);
  EXPECT_LT(first.planning_share, most_planning);
  EXPECT_LT(rest.planning_share, most_planning);
  EXPECT_LT(rest.resident_bytes, first.resident_bytes + (int64_t{32} << 20));
}

TEST(DenseScores, NewSizesAreCheap) { check_costs(18, 8, 224, 0.4); }
TEST(DenseScoresSlow, NewSizesAreCheap18) { check_costs(18, 200, 224, 0.2); }
TEST(DenseScoresSlow, NewSizesAreCheap50) { check_costs(50, 200, 224, 0.2); }

// Weights of one layout are held once by all programs, and what nobody trains has no momenta.
TEST(DenseScores, ProgramsShareTheWeights) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer keeps freed memory";
  Net net(parse_net_prototxt(cli::deploy_text(cli::imagenet_net(18))),
          std::shared_ptr<Backend>(make_backend("onednn")), {}, {}, {});
  net.initialize(7);
  int64_t weights = 0;
  for (const Parameter& parameter : net.parameters()) weights += 4 * parameter.shape.count();
  EXPECT_LT(net.parameter_bytes(), weights + weights / 50);
  const auto run = [&](int64_t side) {
    net.forward(net.session(TEST, 0, {{"data", Shape{1, 3, side, side}}}));
  };
  run(260);
  const int64_t before = testing::resident_bytes();
  for (int64_t side = 228; side < 260; side += 4) run(side);
  EXPECT_LT(testing::resident_bytes() - before, weights);
}

TEST(DenseScoresSlow, LongImages) {
  Scorer scorer = dense_scorer(18);
  for (const auto& [height, width] : {std::pair{224, 2240}, {2240, 224}}) {
    const Record image = random_image(height, width, 5);
    const std::vector<double> scores = scorer.scores(std::span(&image, 1))[0];
    EXPECT_NEAR(std::accumulate(scores.begin(), scores.end(), 0.0), 1, 1e-5);
  }
}

TEST(DenseScoresSlow, HugeImage) {
  Scorer scorer = dense_scorer(18);
  const Record image = random_image(3000, 4000, 5);
  const std::vector<double> scores = scorer.scores(std::span(&image, 1))[0];
  EXPECT_NEAR(std::accumulate(scores.begin(), scores.end(), 0.0), 1, 1e-5);
  std::printf("ResNet-18 at 3000x4000: at most %lld MiB\n",
              static_cast<long long>(testing::peak_bytes() >> 20));
}

TEST(DenseScores, AnImageThatDoesNotFitIsNamed) {
  if (testing::kSanitized) GTEST_SKIP() << "a sanitizer's address space has no limit";
  Scorer scorer = dense_scorer(18);
  const rlimit unlimited = testing::limit_memory(int64_t{64} << 20);
  const Record image = random_image(1200, 1200, 5);
  try {
    scorer.scores(std::span(&image, 1));
    FAIL() << "an image that needs 300 MiB was scored in 64";
  } catch (const DeviceError& e) {
    const std::string text = e.what();
    EXPECT_TRUE(text.starts_with("image 1200x1200, tested at 1200x1200 pixels: out of memory: "))
        << text;
    EXPECT_TRUE(text.ends_with("; give smaller --scales")) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  setrlimit(RLIMIT_AS, &unlimited);
  const Record small = random_image(224, 224, 6);  // the scorer is still good
  EXPECT_EQ(scorer.scores(std::span(&small, 1))[0].size(), 1000U);
}

// On an image of the training size, both have one position.
void check_plain(int depth) {
  const NetParameter net = parse_net_prototxt(cli::deploy_text(cli::imagenet_net(depth)));
  const Record image = random_image(224, 224, 9);
  const auto scores = [&](Protocol::Kind kind, ScoreKind average) {
    Protocol protocol;
    protocol.kind = kind;
    protocol.scales = {224};
    protocol.mirror = false;
    protocol.average = average;
    Scorer scorer(net, {}, std::shared_ptr<Backend>(make_backend("onednn")), random_weights(depth),
                  preprocessing(), {}, protocol, 1);
    return scorer.scores(std::span(&image, 1))[0];
  };
  for (const ScoreKind average : {ScoreKind::probabilities, ScoreKind::logits}) {
    const std::vector<double> plain = scores(Protocol::Kind::one_crop, average);
    const std::vector<double> dense = scores(Protocol::Kind::dense, average);
    const auto [low, high] = std::minmax_element(plain.begin(), plain.end());
    const double spread = *high - *low;
    EXPECT_GT(spread, average == ScoreKind::logits ? 0.1 : 1e-4);
    for (size_t k = 0; k < plain.size(); ++k) {
      EXPECT_NEAR(dense[k], plain[k], 1e-5 * std::max(1.0, spread)) << k;
    }
  }
}

TEST(DenseScores, EqualThePlainNet18) { check_plain(18); }
TEST(DenseScoresSlow, EqualThePlainNet50) { check_plain(50); }

}  // namespace
}  // namespace resnet
