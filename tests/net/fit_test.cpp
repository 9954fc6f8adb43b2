// Memory: what a net needs, and which batch is named when it is not there.
#include "net/fit.h"

#include <numeric>
#include <regex>

#include "net/limited_backend.h"
#include "net/small_nets.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

using testing::LimitedBackend;
using testing::parse_net;
using testing::residual_net;

TEST(Fit, TakesTheLargestBatch) {
  const std::vector<int64_t> batches{1, 2, 4, 8, 16};
  int compiled = 0;
  const auto bytes = [&](int64_t n, bool scratch) -> std::optional<int64_t> {
    compiled += scratch ? 1 : 0;
    return 100 + 10 * n + (scratch ? 50 : 0);
  };
  for (int64_t limit = 140; limit < 340; ++limit) {
    std::optional<int64_t> expected;
    for (const int64_t n : batches) {
      if (150 + 10 * n <= limit) expected = n;
    }
    compiled = 0;
    EXPECT_EQ(largest_fitting(batches, limit, bytes), expected) << limit;
    EXPECT_LE(compiled, 2) << limit;  // planning is cheap, compiling is not
  }
  EXPECT_EQ(largest_fitting({}, 1000, bytes), std::nullopt);
}

TEST(Fit, FindsItWhereScratchMemoryGrows) {
  std::vector<int64_t> batches(256);
  std::iota(batches.begin(), batches.end(), 1);
  const auto bytes = [&](int64_t n, bool scratch) -> std::optional<int64_t> {
    return 100 + 10 * n + (scratch ? n * n / 8 : 0);
  };
  for (int64_t limit = 100; limit < 12000; limit += 7) {
    std::optional<int64_t> expected;
    for (const int64_t n : batches) {
      if (*bytes(n, true) <= limit) expected = n;
    }
    EXPECT_EQ(largest_fitting(batches, limit, bytes), expected) << limit;
  }
}

TEST(Fit, LeavesOutWhatCannotBePlannedOrCompiled) {
  const std::vector<int64_t> batches{1, 2, 4, 8};
  const auto plannable = [](int64_t n, bool) {
    return n < 4 ? std::optional<int64_t>(n) : std::nullopt;
  };
  EXPECT_EQ(largest_fitting(batches, 100, plannable), 2);
  const auto compilable = [](int64_t n, bool scratch) {
    return n < 8 || !scratch ? std::optional<int64_t>(n) : std::nullopt;
  };
  EXPECT_EQ(largest_fitting(batches, 100, compilable), 4);
}

TEST(Fit, KeepsTheImagesOfAnUpdate) {
  EXPECT_EQ(smaller_batches(12, 1, 1), (std::vector<int64_t>{1, 2, 3, 4, 6}));
  EXPECT_EQ(smaller_batches(6, 2, 1), (std::vector<int64_t>{1, 2, 3, 4}));
  EXPECT_EQ(smaller_batches(24, 1, 2), (std::vector<int64_t>{2, 4, 6, 8, 12}));
  EXPECT_TRUE(smaller_batches(1, 8, 1).empty());
}

struct Case {
  int batch = 24, iter_size = 1, shards = 1;
  std::string batch_norm = {};
};

std::unique_ptr<Net> make_net(const Case& c, int64_t limit) {
  NetOptions options;
  options.iter_size = c.iter_size;
  options.plan.shards = c.shards;
  return std::make_unique<Net>(parse_net(residual_net(c.batch, 4, 8, c.batch_norm)),
                               std::make_shared<LimitedBackend>(limit), options,
                               std::map<std::string, Shape>{}, std::map<std::string, Shape>{});
}

// An update, and all parameters to the host, as snapshots do.
void train(Net& net, int iter_size) {
  net.initialize(1);
  Session& session = net.session(TRAIN);
  testing::fill_inputs(net, session, 1);
  for (int i = 0; i < iter_size; ++i) net.forward_backward(session, i > 0);
  net.update({.rate = 0.1, .iter_size = iter_size});
  for (size_t i = 0; i < net.parameters().size(); ++i) net.read_parameter(static_cast<int>(i));
}

constexpr int64_t kPlenty = int64_t{1} << 40;

// Of a net that only trains.
int64_t needed(const Case& c) {
  const auto net = make_net(c, kPlenty);
  return net->needed_bytes(0, 1) - 2 * (3 * 8 * 8 + 1) * 4;
}

TEST(Memory, IsKnownBeforehand) {
  for (const Case& c : {Case{}, Case{.iter_size = 3}, Case{.shards = 4}, Case{.batch = 1}}) {
    const auto net = make_net(c, kPlenty);
    const int64_t bytes = net->needed_bytes(0, 1);
    EXPECT_EQ(LimitedBackend::peak(), 0);  // planning takes none
    train(*net, c.iter_size);
    Session& test = net->session(TEST, 1);
    testing::fill_inputs(*net, test, 1);
    net->forward(test);
    EXPECT_LE(LimitedBackend::peak(), bytes) << c.batch << " " << c.iter_size << " " << c.shards;
    EXPECT_GE(static_cast<double>(LimitedBackend::peak()), 0.85 * static_cast<double>(bytes));
  }
  EXPECT_LT(needed({.batch = 12}), needed({.batch = 24}));
}

// The batch that the net has anyway is no other program.
TEST(Memory, IsTakenOnceForEachBatch) {
  const auto net = make_net({.batch = 4}, kPlenty);
  net->initialize(1);
  EXPECT_EQ(&net->session(TRAIN), &net->session(TRAIN, 4));
  EXPECT_NE(&net->session(TRAIN), &net->session(TRAIN, 2));
}

// The error of training in so little memory.
std::string complaint(const Case& c, int64_t limit) {
  const auto net = make_net(c, limit);
  try {
    train(*net, c.iter_size);
  } catch (const PlanTooLarge& e) {
    EXPECT_EQ(e.code(), ExitCode::device);
    return e.what();
  }
  return "";
}

int64_t number_after(const std::string& text, const std::string& words) {
  std::smatch found;
  return std::regex_search(text, found, std::regex(words + "(\\d+)")) ? std::stoll(found[1]) : -1;
}

TEST(Memory, NamesThePairThatFits) {
  const Case cases[] = {{},
                        {.batch = 12, .iter_size = 2},
                        {.shards = 2},
                        {.shards = 3, .batch_norm = "group_size: 2"},
                        {.batch_norm = "group_size: 4"}};
  for (const Case& c : cases) {
    const int64_t images = c.batch * c.iter_size;
    // In the smallest one a half of the batch does not fit. What shards sum up takes half of all.
    const bool large_sums = c.shards > 1;
    for (const double share : {0.8, large_sums ? 0.75 : 0.6, large_sums ? 0.7 : 0.45}) {
      const auto limit = static_cast<int64_t>(share * static_cast<double>(needed(c)));
      const std::string text = complaint(c, limit);
      SCOPED_TRACE(text);
      ASSERT_FALSE(text.empty()) << share;
      EXPECT_EQ(number_after(text, "training with batches of "), c.batch);
      const auto batch = static_cast<int>(number_after(text, "--batch="));
      const auto iter_size = static_cast<int>(number_after(text, "iter_size: "));
      ASSERT_GT(batch, 0);
      EXPECT_LT(batch, c.batch);
      EXPECT_EQ(int64_t{batch} * iter_size, images);
      EXPECT_EQ(batch % c.shards, 0);

      const Case smaller{batch, iter_size, c.shards, c.batch_norm};
      EXPECT_EQ(complaint(smaller, limit), "");  // trains
      // The next larger one that could be had needs more than all but the reserve.
      for (int next = batch + 1; next < c.batch; ++next) {
        if (images % next != 0 || next % c.shards != 0) continue;
        if (!c.batch_norm.empty() && next / c.shards % (c.shards == 1 ? 4 : 2) != 0) continue;
        const Case larger{next, static_cast<int>(images / next), c.shards, c.batch_norm};
        EXPECT_GT(needed(larger), limit - limit / 16);
        break;
      }
    }
  }
}

TEST(Memory, NamesTheLargestTensors) {
  const std::string text = complaint({}, needed({}) / 2);
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  ASSERT_EQ(lines.size(), 10U) << text;
  EXPECT_TRUE(std::regex_match(lines[0], std::regex("out of memory: training with batches of 24 "
                                                    "images needs [0-9.]+ MiB, [0-9.]+ MiB are "
                                                    "there \\(\\d+ bytes\\)")))
      << lines[0];
  // (24,4,8,8) floats: the outputs of the first stage and their gradients.
  for (size_t i = 2; i < 7; ++i) {
    EXPECT_TRUE(std::regex_match(
        lines[i],
        std::regex("  0\\.0 MiB  f32 \\(24,4,8,8\\) nchw  .+ \\(layer '.+', [A-Za-z]+ .+\\)")))
        << lines[i];
  }
}

TEST(Memory, SaysWhenNothingFits) {
  const std::string text = complaint({}, 20000);
  EXPECT_NE(text.find("no smaller batch fits with as many images in an update"), std::string::npos)
      << text;
}

TEST(Memory, NamesTheLargestBatchOfATest) {
  const auto test = [](int64_t batch, int64_t limit) -> std::string {
    const auto net = make_net({.batch = 1}, limit);
    try {
      net->initialize(1);
      Session& session = net->session(TEST, batch);
      testing::fill_inputs(*net, session, 1);
      net->forward(session);
    } catch (const PlanTooLarge& e) {
      return e.what();
    }
    return "";
  };
  const int64_t limit = 300000;
  const std::string text = test(1000, limit);
  const int64_t batch = number_after(text, "--batch=");
  SCOPED_TRACE(text);
  EXPECT_EQ(number_after(text, "computing with batches of "), 1000);
  EXPECT_EQ(text.find("iter_size"), std::string::npos);
  ASSERT_GT(batch, 10);
  EXPECT_EQ(test(batch, limit), "");
  // Memory is kept for the inputs of a short last batch, too.
  EXPECT_NE(test(batch + batch / 3 + 1, limit), "");
}

// What a backend says of a kernel gets the name of the layer.
TEST(Failure, NamesTheLayer) {
  for (const bool compiling : {true, false}) {
    auto backend = std::make_shared<LimitedBackend>(kPlenty);
    (compiling ? backend->fails_to_compile : backend->fails_to_run) = "InnerProduct";
    Net net(parse_net(residual_net(2)), backend, {}, {}, {});
    try {
      train(net, 1);
      ADD_FAILURE() << "nothing fails";
    } catch (const DeviceError& e) {
      const std::string text = e.what();
      EXPECT_TRUE(text.starts_with("layer 'fc': ")) << text;
      EXPECT_TRUE(text.ends_with(compiling ? ": cannot compile" : ": cannot run")) << text;
      EXPECT_NE(text.find("f32 (2,"), std::string::npos) << text;
    }
  }
}

// A net whose memory was too small goes on with another batch.
TEST(Memory, LeavesTheNetUsable) {
  const auto net = make_net({.batch = 2}, 400000);
  net->initialize(1);
  EXPECT_THROW(net->forward(net->session(TEST, 5000)), PlanTooLarge);
  Session& session = net->session(TEST, 2);
  testing::fill_inputs(*net, session, 1);
  EXPECT_GT(total_loss(net->forward(session)), 0);
}

}  // namespace
}  // namespace resnet
