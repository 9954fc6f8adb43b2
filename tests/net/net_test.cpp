// Whole nets: gradients against central differences, and equality under every option and backend.
#include "net/small_nets.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

using testing::fill_inputs;
using testing::layer;
using testing::norm;
using testing::parse_net;
using testing::relative_error;
using testing::relu;
using testing::residual_net;

std::unique_ptr<Net> make_net(const std::string& text, const std::string& backend,
                              NetOptions options = {}) {
  auto net = std::make_unique<Net>(parse_net(text), std::shared_ptr<Backend>(make_backend(backend)),
                                   std::move(options), std::map<std::string, Shape>{},
                                   std::map<std::string, Shape>{});
  net->initialize(7);
  // Statistics as after some training, for nets that use fixed ones.
  for (size_t p = 0; p < net->parameters().size(); ++p) {
    const Parameter& parameter = net->parameters()[p];
    if (parameter.learnable) continue;
    const float value = parameter.role == "mean" ? 0.1F : 2.0F;
    net->write_parameter(static_cast<int>(p),
                         std::vector<float>(static_cast<size_t>(parameter.shape.count()), value));
  }
  return net;
}

double loss_of(Net& net, Session& session) { return total_loss(net.forward_backward(session)); }

// All gradients of `net` against central differences of the loss, in double on `reference`.
void check_gradients(const std::string& text, NetOptions options) {
  options.dtype = DType::f64;
  const auto net = make_net(text, "reference", options);
  Session& session = net->session(TRAIN);
  fill_inputs(*net, session, 3);
  loss_of(*net, session);
  const auto& parameters = net->parameters();
  std::vector<HostArray> gradients;
  for (size_t p = 0; p < parameters.size(); ++p) {
    gradients.push_back(parameters[p].learnable ? net->read_gradient(static_cast<int>(p))
                                                : HostArray{});
  }
  for (size_t p = 0; p < parameters.size(); ++p) {
    if (!parameters[p].learnable) continue;
    HostArray weights = net->read_parameter(static_cast<int>(p));
    Random random(11, p, Use::test);
    for (int trial = 0; trial < 3; ++trial) {
      const auto i = static_cast<size_t>(random.below(static_cast<uint32_t>(weights.data.size())));
      const float old = weights.data[i];
      double best = 1e30;
      double numeric = 0;
      for (const float step : {1e-3F, 1e-5F, 1e-6F}) {
        weights.data[i] = old + step;
        const double high_at = weights.data[i];
        net->write_parameter(static_cast<int>(p), weights.data);
        const double high = loss_of(*net, session);
        weights.data[i] = old - step;
        const double low_at = weights.data[i];
        net->write_parameter(static_cast<int>(p), weights.data);
        const double low = loss_of(*net, session);
        numeric = (high - low) / (high_at - low_at);
        best = std::min(best, std::abs(numeric - gradients[p].data[i]));
      }
      weights.data[i] = old;
      net->write_parameter(static_cast<int>(p), weights.data);
      EXPECT_LT(best, 2e-5 * std::max(1.0, std::abs(numeric)))
          << parameters[p].name() << "[" << i << "]: " << gradients[p].data[i] << " vs " << numeric;
    }
  }
}

TEST(NetGradients, MatchCentralDifferences) { check_gradients(residual_net(6), {}); }
TEST(NetGradients, MatchWithoutFusion) {
  NetOptions options;
  options.plan.fuse = false;
  check_gradients(residual_net(6), options);
}
TEST(NetGradients, MatchWithGroups) { check_gradients(residual_net(6, 4, 8, "group_size: 3"), {}); }
TEST(NetGradients, MatchWithFixedStatistics) {
  check_gradients(residual_net(6, 4, 8, "use_global_stats: true"), {});
}

struct TrainRun {
  std::vector<double> losses;
  std::vector<std::vector<float>> parameters;
  std::vector<float> scores;  // of a test run after training
};

TrainRun train(const std::string& text, const std::string& backend, const NetOptions& options,
               int steps = 5) {
  const auto net = make_net(text, backend, options);
  TrainRun run;
  for (int step = 0; step < steps; ++step) {
    Session& session = net->session(TRAIN);
    fill_inputs(*net, session, 100 + static_cast<uint64_t>(step));
    run.losses.push_back(loss_of(*net, session));
    net->update({.rate = 0.05, .momentum = 0.9, .weight_decay = 1e-4});
  }
  Session& test = net->session(TEST, 0, {}, {"fc"});
  fill_inputs(*net, test, 999);
  net->forward(test);
  run.scores = net->read(test, "fc").data;
  for (size_t p = 0; p < net->parameters().size(); ++p) {
    run.parameters.push_back(net->read_parameter(static_cast<int>(p)).data);
  }
  return run;
}

void expect_equal(const TrainRun& a, const TrainRun& b, double tolerance) {
  for (size_t i = 0; i < a.losses.size(); ++i) {
    EXPECT_NEAR(a.losses[i], b.losses[i], tolerance * std::abs(b.losses[i])) << "step " << i;
  }
  for (size_t p = 0; p < a.parameters.size(); ++p) {
    EXPECT_LE(relative_error(a.parameters[p], b.parameters[p]), tolerance) << "parameter " << p;
  }
  EXPECT_LE(relative_error(a.scores, b.scores), tolerance);
}

struct OptionCase {
  const char* name;
  NetOptions options;
};

std::vector<OptionCase> option_cases() {
  std::vector<OptionCase> cases(5);
  cases[0] = {"no_fusion", {}};
  cases[0].options.plan.fuse = false;
  cases[1] = {"no_reuse", {}};
  cases[1].options.plan.reuse = false;
  cases[2] = {"plain_layouts", {}};
  cases[2].options.plan.layouts = false;
  cases[3] = {"recompute", {}};
  cases[3].options.plan.memory_budget_bytes = 1;
  cases[4] = {"everything_off", {}};
  cases[4].options.plan.fuse = cases[4].options.plan.reuse = cases[4].options.plan.layouts = false;
  return cases;
}

TEST(NetOptionsTest, DoNotChangeResultsOnReference) {
  const std::string text = residual_net(6);
  const TrainRun base = train(text, "reference", {});
  for (const OptionCase& c : option_cases()) {
    SCOPED_TRACE(c.name);
    // Memory reuse, layouts and recomputation: the same bits. Fusing leaves out a rounding to float.
    const TrainRun run = train(text, "reference", c.options);
    if (c.options.plan.fuse) {
      EXPECT_EQ(run.losses, base.losses);
      EXPECT_EQ(run.parameters, base.parameters);
    } else {
      expect_equal(run, base, 2e-6);
    }
  }
}

// In inference a convolution absorbs most BatchNorms and what they add; here there is none.
TEST(NetOptionsTest, FoldedShortcutsDoNotChangeInference) {
  std::string text =
      "name: 'shortcut'\n"
      "layer { name: 'in' type: 'Input' top: 'data' input_param { shape { dim: 2 dim: 3 dim: 7 "
      "dim: "
      "9 } } }\n";
  text += layer("wide", "Concat", "data,data", "wide");
  text += layer("pool", "Pooling", "wide", "pool",
                "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }") +
          norm("pool");
  text += layer("short", "IdentityShortcut", "data", "short",
                "identity_shortcut_param { stride: 2 num_output: 6 }");
  text += layer("sum", "Eltwise", "short,pool", "sum") + relu("sum");
  const auto run = [&](bool fuse) {
    NetOptions options;
    options.plan.fuse = fuse;
    const auto net = make_net(text, "reference", options);
    Session& session = net->session(TEST, 0, {}, {"sum"});
    fill_inputs(*net, session, 5);
    net->forward(session);
    const bool folded = describe(net->program(session)).find("add_stride=2") != std::string::npos;
    EXPECT_EQ(folded, fuse);
    return net->read(session, "sum").data;
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(NetOptionsTest, DoNotChangeResultsOnOneDnn) {
  for (const int channels : {4, 16}) {
    const std::string text = residual_net(6, channels, 16);
    const TrainRun base = train(text, "reference", {});
    SCOPED_TRACE(channels);
    expect_equal(train(text, "onednn", {}), base, 2e-5);
    for (const OptionCase& c : option_cases()) {
      SCOPED_TRACE(c.name);
      expect_equal(train(text, "onednn", c.options), base, 2e-5);
    }
  }
}

TEST(NetShards, EqualTheirUnshardedGroups) {
  // Two shards of 4 images have the statistics of group_size 4 over 8 images.
  const TrainRun groups = train(residual_net(8, 4, 8, "group_size: 4"), "reference", {});
  NetOptions options;
  options.plan.shards = 2;
  const TrainRun shards = train(residual_net(8), "reference", options);
  expect_equal(shards, groups, 1e-5);
}

TEST(NetShards, RefuseABatchThatTheyDoNotDivide) {
  NetOptions options;
  options.plan.shards = 4;
  EXPECT_THROW(make_net(residual_net(6), "reference", options)->session(TRAIN), ConfigError);
}

TEST(NetMemory, RecomputingNeedsLess) {
  const std::string text = residual_net(8, 16, 32);
  const auto plain = make_net(text, "onednn");
  NetOptions options;
  options.plan.memory_budget_bytes = 1;
  const auto frugal = make_net(text, "onednn", options);
  const Program& a = plain->program(plain->session(TRAIN));
  const Program& b = frugal->program(frugal->session(TRAIN));
  EXPECT_GT(b.recomputed, 0);
  EXPECT_LT(b.arena_bytes, a.arena_bytes);
}

TEST(NetSessions, ManyShapesShareTheWeights) {
  const auto net = make_net(residual_net(4), "reference");
  Session& four = net->session(TEST, 4, {}, {"fc"});
  fill_inputs(*net, four, 5);
  net->forward(four);
  const HostArray want = net->read(four, "fc");
  // The first two of the same images alone.
  std::vector<float> images(2 * 3 * 8 * 8);
  std::copy_n(net->input(four, "data").as<float>(), images.size(), images.begin());
  Session& two = net->session(TEST, 2, {}, {"fc"});
  std::copy(images.begin(), images.end(), net->input(two, "data").as<float>());
  net->forward(two);
  const HostArray got = net->read(two, "fc");
  ASSERT_EQ(got.shape, (Shape{2, 5}));
  for (size_t i = 0; i < got.data.size(); ++i) EXPECT_FLOAT_EQ(got.data[i], want.data[i]);
  for (int64_t batch = 1; batch < 30; ++batch) net->forward(net->session(TEST, batch));
}

// Folded weights that two sessions share are made anew whichever of them runs first, and only once.
TEST(NetSessions, SharedFoldedWeightsFollowTheWeights) {
  const auto net = make_net(residual_net(4), "onednn");
  const auto scores = [](Net& of, int64_t batch) {
    Session& session = of.session(TEST, batch, {}, {"fc"});
    fill_inputs(of, session, 5);
    of.forward(session);
    return of.read(session, "fc").data;
  };
  scores(*net, 4);
  scores(*net, 2);
  EXPECT_EQ(net->program(net->session(TEST, 4, {}, {"fc"})).recipes.size(),
            net->program(net->session(TEST, 2, {}, {"fc"})).recipes.size());
  for (const int64_t first : {4, 2}) {
    for (size_t p = 0; p < net->parameters().size(); ++p) {
      HostArray values = net->read_parameter(static_cast<int>(p));
      for (float& v : values.data) v *= 1.25F;
      net->write_parameter(static_cast<int>(p), values.data);
    }
    const auto fresh = make_net(residual_net(4), "onednn");
    for (size_t p = 0; p < net->parameters().size(); ++p) {
      fresh->write_parameter(static_cast<int>(p), net->read_parameter(static_cast<int>(p)).data);
    }
    for (const int64_t batch : {first, 6 - first}) {
      EXPECT_EQ(scores(*net, batch), scores(*fresh, batch)) << "batch " << batch;
    }
  }
}

TEST(NetSessions, IdleProgramsHoldNoMoreThanAllowed) {
  NetOptions options;
  options.max_program_bytes = 3 * 3 * 8 * 8 * 4;  // the inputs of three images
  const auto net = make_net(residual_net(4), "reference", options);
  const int64_t at_first = (net->session(TEST, 4), net->planned_bytes());
  for (int64_t batch = 1; batch < 5; ++batch) net->forward(net->session(TEST, batch));
  net->forward(net->session(TEST, 4));
  EXPECT_LE(net->planned_bytes(), at_first + options.max_program_bytes);
}

TEST(NetSessions, UnknownBlobsAreNamed) {
  const auto net = make_net(residual_net(4), "reference");
  EXPECT_THROW(net->session(TEST, 0, {}, {"pol1"}), ConfigError);
  Session& session = net->session(TEST);
  net->forward(session);
  EXPECT_THROW(net->read(session, "conv1"), ConfigError);
}

TEST(NetNonFinite, NamesTheFirstLayer) {
  const auto net = make_net(residual_net(4), "reference");
  Session& session = net->session(TRAIN);
  fill_inputs(*net, session, 5);
  EXPECT_EQ(net->first_non_finite(session), "");
  net->input(session, "data").as<float>()[0] = std::nanf("");
  EXPECT_NE(net->first_non_finite(session).find("conv1"), std::string::npos);
}

}  // namespace
}  // namespace resnet
