// Dense scores of nets as large as ImageNet's: what planning costs and how much memory it holds when
// every image has another size.
#include <chrono>
#include <cstdio>
#include <set>

#include "imagenet/nets.h"
#include "imagenet/process_memory.h"
#include "resnet/base/error.h"
#include "resnet/eval/protocol.h"

namespace resnet {
namespace {

using testing::net_of;
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

Scorer dense_scorer(const cli::ImageNetNet& net) {
  Protocol protocol;
  protocol.kind = Protocol::Kind::dense;
  return {parse_net_prototxt(cli::deploy_text(net)),
          {},
          std::shared_ptr<Backend>(make_backend("onednn")),
          random_weights(net),
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
  cost.resident_bytes = testing::resident_bytes();
  return cost;
}

TEST(DenseScoresSlow, BenchNow) {
  const int depth = std::getenv("DEPTH") ? atoi(std::getenv("DEPTH")) : 18;
  const int count = std::getenv("COUNT") ? atoi(std::getenv("COUNT")) : 40;
  Scorer scorer = dense_scorer(cli::imagenet_net(depth));
  const std::vector<Record> images = images_of_distinct_sizes(count, 224);
  std::printf("start %ld MiB\n", testing::resident_bytes() >> 20);
  for (int i = 0; i < count; i += 20) {
    const Cost cost = score_all(scorer, std::span(images).subspan(i, 20));
    std::printf("%d: %.2f s, planning %.1f %%, resident %ld MiB, peak %ld\n", i, cost.seconds,
                100 * cost.planning_share, cost.resident_bytes >> 20, testing::peak_bytes()>>20);
  }
}

TEST(DenseScoresSlow, PlanOnly) {
  Net net(parse_net_prototxt(cli::deploy_text(cli::imagenet_net(50))), std::shared_ptr<Backend>(make_backend("onednn")),{},{},{});
  net.initialize(7);
  net.session(TEST,0,{{"data",Shape{2,3,224,224}}});
  double before=net.planning_seconds();
  for (int i=0;i<100;++i) net.session(TEST,0,{{"data",Shape{2,3,300+i,224+2*i}}});
  std::printf("%.2f ms\n", 10*(net.planning_seconds()-before));
}

}  // namespace
}  // namespace resnet
