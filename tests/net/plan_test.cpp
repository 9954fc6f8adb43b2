// What plan() makes of nets: fusions, shared kernels, memory; no kernel runs.
#include <fstream>
#include <set>
#include <sstream>

#include "net/limited_backend.h"
#include "net/small_nets.h"
#include "plan/memory.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

using memory_plan::Interval;
using testing::parse_net;
using testing::residual_net;

NetParameter model(const std::string& name) {
  std::ifstream file(RESNET_SOURCE_DIR "/models/cifar10/" + name + "/train_val.prototxt");
  std::stringstream text;
  text << file.rdbuf();
  return parse_net(text.str());
}

// A committed CIFAR net, planned for a batch.
std::unique_ptr<Net> cifar_net(const std::string& name, int64_t batch, NetOptions options = {}) {
  const std::map<std::string, Shape> shapes{{"data", {batch, 3, 32, 32}}, {"label", {batch}}};
  return std::make_unique<Net>(model(name), std::shared_ptr<Backend>(make_backend("onednn")),
                               std::move(options), shapes, shapes);
}

std::unique_ptr<Net> small_net(const std::string& text, const std::string& backend,
                               NetOptions options = {}) {
  return std::make_unique<Net>(parse_net(text), std::shared_ptr<Backend>(make_backend(backend)),
                               std::move(options), std::map<std::string, Shape>{},
                               std::map<std::string, Shape>{});
}

// The largest sum of bytes alive at one step, from the steps alone: a value lives from its first to its last
// use, outputs to the end.
int64_t largest_sum_alive(const Program& program) {
  const Graph& g = program.graph;
  std::vector<int> first(g.values.size(), -1);
  std::vector<int> last(g.values.size(), -1);
  for (size_t i = 0; i < g.nodes.size(); ++i) {
    for (const auto* list : {&g.nodes[i].in, &g.nodes[i].out}) {
      for (const ValueId v : *list) {
        int& begin = first[static_cast<size_t>(v)];
        begin = begin < 0 ? static_cast<int>(i) : begin;
        last[static_cast<size_t>(v)] = static_cast<int>(i);
      }
    }
  }
  for (const Output& output : g.outputs) {
    last[static_cast<size_t>(output.value)] = static_cast<int>(g.nodes.size());
  }
  std::vector<int64_t> live(g.nodes.size() + 2, 0);
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (first[v] < 0 || program.placement[v].where != Placement::Where::arena) continue;
    for (int i = first[v]; i <= last[v]; ++i) {
      live[static_cast<size_t>(i)] += (program.placement[v].bytes + 63) / 64 * 64;
    }
  }
  return *std::max_element(live.begin(), live.end());
}

void expect_tight(const Program& program) {
  const int64_t bound = largest_sum_alive(program);
  EXPECT_LE(static_cast<double>(program.arena_bytes), 1.05 * static_cast<double>(bound));
  EXPECT_LE(program.live_bytes, bound);
}

TEST(PlanMemory, ArenaIsNearTheLargestSumAlive) {
  for (const char* backend : {"reference", "onednn"}) {
    const auto net = small_net(residual_net(8, 16, 32), backend);
    expect_tight(net->program(net->session(TRAIN)));
    expect_tight(net->program(net->session(TEST)));
  }
  for (const char* name : {"resnet20", "resnet56", "plain20"}) {
    SCOPED_TRACE(name);
    const auto net = cifar_net(name, 128);
    expect_tight(net->program(net->session(TRAIN)));
    expect_tight(net->program(net->session(TEST)));
  }
}

TEST(PlanMemory, ABudgetIsKeptWhereItCanBe) {
  const auto free = cifar_net("resnet20", 32);
  const int64_t all = free->program(free->session(TRAIN)).arena_bytes;
  NetOptions options;
  options.plan.memory_budget_bytes = all * 9 / 10;
  const auto frugal = cifar_net("resnet20", 32, options);
  const Program& program = frugal->program(frugal->session(TRAIN));
  EXPECT_LE(program.arena_bytes, options.plan.memory_budget_bytes);
  EXPECT_GT(program.recomputed, 0);
  EXPECT_LT(program.recomputed, 10);  // as few as will do, of 10 candidates
  EXPECT_EQ(program.derived_bytes,
            0);  // weights are copied when they are needed, where they are (AVX-512)
  expect_tight(program);
}

TEST(PlanMemory, IntervalsNeverOverlap) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed, 0, Use::test);
    std::vector<Interval> intervals(200);
    for (Interval& i : intervals) {
      i.begin = static_cast<int>(random.below(100));
      i.end = i.begin + static_cast<int>(random.below(30));
      i.bytes = random.below(10000);
    }
    std::vector<Interval> apart = intervals;
    const int64_t bytes = memory_plan::place(intervals);
    EXPECT_GE(bytes, memory_plan::peak_live_bytes(intervals));
    EXPECT_LE(bytes, memory_plan::place_apart(apart));
    for (size_t a = 0; a < intervals.size(); ++a) {
      EXPECT_LE(intervals[a].offset + intervals[a].bytes, bytes);
      for (size_t b = a + 1; b < intervals.size(); ++b) {
        const Interval& x = intervals[a];
        const Interval& y = intervals[b];
        const bool together = x.begin <= y.end && y.begin <= x.end;
        const bool disjoint = x.offset + x.bytes <= y.offset || y.offset + y.bytes <= x.offset;
        EXPECT_TRUE(!together || disjoint || x.bytes == 0 || y.bytes == 0);
      }
    }
  }
}

// Memory for single steps, beside what lives then; behind the rest only where it must.
TEST(PlanMemory, ScratchLiesWhereNothingLives) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed, 1, Use::test);
    std::vector<Interval> intervals(100), brief;
    for (Interval& i : intervals) {
      i.begin = static_cast<int>(random.below(60));
      i.end = i.begin + static_cast<int>(random.below(30));
      i.bytes = 1 + random.below(10000);
    }
    const int64_t bytes = memory_plan::place(intervals);
    for (int step = 0; step < 90; ++step) {
      brief.push_back({.begin = step, .end = step, .bytes = 1 + random.below(50000)});
    }
    const int64_t behind = memory_plan::place_between(intervals, bytes, brief);
    int64_t needed = 0, inside = 0;
    for (const Interval& b : brief) {
      EXPECT_LE(b.offset + b.bytes, bytes + behind);
      int64_t alive = 0;
      for (const Interval& i : intervals) {
        if (i.begin > b.begin || i.end < b.begin) continue;
        EXPECT_TRUE(i.offset + i.bytes <= b.offset || b.offset + b.bytes <= i.offset);
        alive += i.bytes;
      }
      needed = std::max(needed, alive + b.bytes);
      inside += b.offset < bytes;
    }
    EXPECT_LE(needed, bytes + behind);
    EXPECT_GT(inside, 0);
  }
}

TEST(PlanMemory, NoStepOfANetWritesItsScratchOverValues) {
  for (const char* backend : {"onednn", "limited"}) {
    const auto net =
        std::string(backend) == "limited"
            ? std::make_unique<Net>(parse_net(residual_net(8, 16, 32)),
                                    std::make_shared<testing::LimitedBackend>(int64_t{1} << 40),
                                    NetOptions{}, std::map<std::string, Shape>{},
                                    std::map<std::string, Shape>{})
            : small_net(residual_net(8, 16, 32), backend);
    const Program& program = net->program(net->session(TRAIN));
    int64_t sum = 0;
    for (const auto* steps : {&program.forward, &program.backward}) {
      for (const Step& step : *steps) {
        const int64_t bytes = step.kernel->scratch_bytes();
        sum += bytes;
        if (bytes == 0) continue;
        EXPECT_LE(step.scratch_offset + bytes, program.arena_bytes + program.scratch_bytes);
        for (const Placement& place : program.placement) {
          if (place.where != Placement::Where::arena) continue;
          if (place.begin > step.node || place.end < step.node) continue;
          EXPECT_TRUE(place.offset + place.bytes <= step.scratch_offset ||
                      step.scratch_offset + bytes <= place.offset)
              << program.graph.nodes[static_cast<size_t>(step.node)].layer;
        }
      }
    }
    EXPECT_LT(program.scratch_bytes, sum) << backend;
  }
}

// The ops of some steps, but for reorders of no more than a batch's class features.
std::set<std::string> ops_of(const Program& program, const std::vector<Step>& steps) {
  std::set<std::string> ops;
  for (const Step& step : steps) {
    const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
    const bool tiny = program.graph.value(node.out[0]).desc.count() <= 128 * 64;
    if (!std::holds_alternative<Reorder>(node.op) || !tiny) ops.insert(name_of(node.op));
  }
  return ops;
}

TEST(PlanFusion, ResNet20HasNoStandaloneReluSumScaleOrReorder) {
  const auto net = cifar_net("resnet20", 128);
  const Program& train = net->program(net->session(TRAIN));
  EXPECT_EQ(ops_of(train, train.forward),
            (std::set<std::string>{"Accuracy", "BatchNorm", "Convolution", "IdentityShortcut",
                                   "InnerProduct", "Pooling", "SoftmaxLoss"}));
  std::set<std::string> backward{"BatchNorm",    "Convolution", "Eltwise",    "IdentityShortcut",
                                 "InnerProduct", "Pooling",     "SoftmaxLoss"};
  // With SSE 4.1 alone, oneDNN takes row-major tensors for the gradients of weights.
  if (make_backend("onednn")->description().find("sse41") != std::string::npos) {
    backward.insert("Reorder");
  }
  EXPECT_EQ(ops_of(train, train.backward), backward);
  const Program& test = net->program(net->session(TEST));
  EXPECT_EQ(ops_of(test, test.forward),
            (std::set<std::string>{"Accuracy", "Convolution", "IdentityShortcut", "InnerProduct",
                                   "Pooling", "SoftmaxLoss"}))
      << describe(test);
  EXPECT_EQ(describe(test).find("Relu "), std::string::npos);
}

// An option-A shortcut becomes part of the BatchNorm that adds it, where the backend can do that.
TEST(PlanFusion, FoldsShortcutsThatOneBatchNormReads) {
  const auto shortcuts = [](const std::string& text, const std::string& backend) {
    const auto net = small_net(text, backend);
    const Program& train = net->program(net->session(TRAIN));
    const bool forward = ops_of(train, train.forward).contains("IdentityShortcut");
    EXPECT_EQ(ops_of(train, train.backward).contains("IdentityShortcut"), forward);
    EXPECT_EQ(describe(train).find("add_stride=2") == std::string::npos, forward);
    return forward;
  };
  const std::string text = residual_net(6);
  EXPECT_FALSE(shortcuts(text, "reference"));
  EXPECT_TRUE(shortcuts(text, "onednn"));
  const std::string second_reader = testing::layer(
      "more", "Pooling", "b0", "more", "pooling_param { pool: AVE global_pooling: true }");
  EXPECT_TRUE(shortcuts(text + second_reader, "reference"));
}

TEST(PlanKernels, AreSharedByEqualSteps) {
  const auto net = cifar_net("resnet56", 8);
  const Program& train = net->program(net->session(TRAIN));
  std::set<const Kernel*> kernels;
  for (const auto* steps : {&train.forward, &train.backward}) {
    for (const Step& step : *steps) kernels.insert(step.kernel.get());
  }
  EXPECT_GT(train.forward.size() + train.backward.size(), 250U);
  EXPECT_LT(kernels.size(), 60U);
}

TEST(PlanAutodiff, FrozenLayersGetNoGradient) {
  std::string text = residual_net(4);
  const std::string frozen = "layer { name: 'conv1' type: 'Convolution'";
  text.replace(text.find(frozen), frozen.size(), frozen + " param { lr_mult: 0 }");
  const auto net = small_net(text, "reference");
  for (const Value& value : net->program(net->session(TRAIN)).graph.values) {
    EXPECT_NE(value.name, "diff:conv1/weight");
  }
}

TEST(PlanAutodiff, PropagateDownStopsTheGradient) {
  std::string text = residual_net(4);
  const std::string classifier = "layer { name: 'fc' type: 'InnerProduct'";
  text.replace(text.find(classifier), classifier.size(), classifier + " propagate_down: false");
  const auto net = small_net(text, "reference");
  int gradients = 0;
  for (const Value& value : net->program(net->session(TRAIN)).graph.values) {
    gradients += value.kind == ValueKind::gradient ? 1 : 0;
  }
  EXPECT_EQ(gradients, 2);  // the classifier's own weight and bias
}

}  // namespace
}  // namespace resnet
