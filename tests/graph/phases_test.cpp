// include and exclude rules.
#include "graph/net_text.h"

namespace resnet::test {
namespace {

using Layers = std::vector<int>;

Layers layers_of(const std::string& rules, const GraphOptions& options) {
  return layers_in_phase(net_of("layer { name: 'a' " + rules + " } layer { name: 'b' }"), options);
}

TEST(Phases, IncludeAndExclude) {
  const std::string include = "include { phase: TRAIN }", exclude = "exclude { phase: TRAIN }";
  EXPECT_EQ(layers_of(include, {.phase = TRAIN}), (Layers{0, 1}));
  EXPECT_EQ(layers_of(include, {.phase = TEST}), Layers{1});
  EXPECT_EQ(layers_of(exclude, {.phase = TRAIN}), Layers{1});
  EXPECT_EQ(layers_of(exclude, {.phase = TEST}), (Layers{0, 1}));
  EXPECT_EQ(layers_of("", {.phase = TEST}), (Layers{0, 1}));
}

TEST(Phases, OneOfSeveralRulesIsEnough) {
  const std::string rules = "include { phase: TRAIN } include { stage: 'val' }";
  EXPECT_EQ(layers_of(rules, {.phase = TEST}), Layers{1});
  EXPECT_EQ(layers_of(rules, {.phase = TEST, .stages = {"val"}}), (Layers{0, 1}));
}

TEST(Phases, AllPartsOfARuleMustHold) {
  const std::string rule = "include { phase: TEST stage: 'a' stage: 'b' not_stage: 'c' }";
  EXPECT_EQ(layers_of(rule, {.stages = {"a"}}), Layers{1});
  EXPECT_EQ(layers_of(rule, {.stages = {"a", "b"}}), (Layers{0, 1}));
  EXPECT_EQ(layers_of(rule, {.stages = {"a", "b", "c"}}), Layers{1});
  EXPECT_EQ(layers_of(rule, {.phase = TRAIN, .stages = {"a", "b"}}), Layers{1});
}

TEST(Phases, Levels) {
  const std::string rule = "include { min_level: 2 max_level: 3 }";
  for (const int level : {0, 1, 2, 3, 4}) {
    const Layers expected = level == 2 || level == 3 ? Layers{0, 1} : Layers{1};
    EXPECT_EQ(layers_of(rule, {.level = level}), expected) << level;
  }
}

TEST(Phases, StateOfTheNetCounts) {
  const NetParameter net = net_of(
      "state { level: 2 stage: 'a' phase: TRAIN } layer { include { min_level: 2 stage: 'a' stage: "
      "'b' phase: TEST } }");
  EXPECT_EQ(layers_in_phase(net, {.phase = TEST, .stages = {"b"}}), Layers{0});
  EXPECT_EQ(layers_in_phase(net, {.phase = TEST, .level = 1, .stages = {"b"}}), Layers{});
}

TEST(Phases, OneNetForBoth) {
  const std::string text =
      "layer { name: 'd' type: 'DummyData' top: 'x' include { phase: TRAIN } "
      "dummy_data_param { shape { dim: 8 dim: 3 } } }"
      "layer { name: 'd' type: 'Input' top: 'x' include { phase: TEST } "
      "input_param { shape { dim: 2 dim: 3 } } }" +
      layer_text("ReLU");
  EXPECT_EQ(shape_of(train_graph_of(text), "y"), (Shape{8, 3}));
  EXPECT_EQ(shape_of(graph_of(text), "y"), (Shape{2, 3}));
  EXPECT_EQ(train_graph_of(text).phase, TRAIN);
}

}  // namespace
}  // namespace resnet::test
