// Names: in-place tops, outputs, inputs, propagate_down.
#include "graph/net_text.h"

namespace resnet::test {
namespace {

using Names = std::vector<std::string>;

Names output_names(const Graph& graph) {
  Names names;
  for (const Output& output : graph.outputs) names.push_back(output.name);
  return names;
}

TEST(InPlace, IsOnlyAName) {
  const Graph graph = graph_of(input_text("2 3") +
                               "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'x' }"
                               "layer { name: 's' type: 'Softmax' bottom: 'x' top: 'x' }");
  ASSERT_EQ(graph.nodes.size(), 2u);
  EXPECT_EQ(graph.nodes[0].in[0], graph.inputs[0].value);
  EXPECT_EQ(graph.nodes[1].in[0], graph.nodes[0].out[0]);
  EXPECT_EQ(graph.blobs.at("x"), graph.nodes[1].out[0]);
  EXPECT_NE(graph.nodes[0].in[0], graph.nodes[0].out[0]);
  EXPECT_EQ(graph.value(graph.nodes[0].out[0]).name, "x");
  const std::vector<std::pair<std::string, ValueId>> layers{
      {"x_in", graph.inputs[0].value}, {"r", graph.nodes[0].out[0]}, {"s", graph.nodes[1].out[0]}};
  EXPECT_EQ(graph.layer_outputs, layers);
}

TEST(InPlace, EarlierReadersKeepTheOldValue) {
  const Graph graph =
      graph_of(input_text("2 3") +
               "layer { name: 'a' type: 'Softmax' bottom: 'x' top: 'a' }"
               "layer { name: 'r' type: 'ReLU' bottom: 'x' top: 'x' }"
               "layer { name: 'sum' type: 'Eltwise' bottom: 'a' bottom: 'x' top: 'a' }");
  EXPECT_EQ(graph.nodes[0].in[0], graph.inputs[0].value);
  EXPECT_EQ(graph.nodes[2].in[1], graph.nodes[1].out[0]);
  EXPECT_EQ(output_names(graph), Names{"a"});
}

TEST(Outputs, AreSortedUnreadTops) {
  const Graph graph = graph_of(input_text("2 3") +
                               "layer { name: 'l1' type: 'ReLU' bottom: 'x' top: 'z' }"
                               "layer { name: 'l2' type: 'ReLU' bottom: 'x' top: 'b' }"
                               "layer { name: 'l3' type: 'ReLU' bottom: 'b' top: 'c' }");
  EXPECT_EQ(output_names(graph), (Names{"c", "z"}));
}

TEST(Outputs, UnreadInputsAreNone) {
  const Graph graph = graph_of(input_text("2 3") + input_text("2", "label") + layer_text("ReLU"));
  EXPECT_EQ(graph.inputs.size(), 2u);
  EXPECT_EQ(output_names(graph), Names{"y"});
}

TEST(Outputs, LossThatIsReadStaysALoss) {
  const Graph graph =
      graph_of(input_text("6 5") + input_text("6", "label") +
               "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' top: 'loss' }"
               "layer { name: 's' type: 'Split' bottom: 'loss' top: 'a' top: 'b' }");
  EXPECT_EQ(output_names(graph), Names{"loss"});
}

TEST(Inputs, LegacyFields) {
  const Graph dims = graph_of(
      "input: 'a' input: 'b' input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224 "
      "input_dim: 2 input_dim: 1 input_dim: 4 input_dim: 5 "
      "layer { name: 'r' type: 'ReLU' bottom: 'a' top: 'a' }");
  EXPECT_EQ(dims.value(dims.inputs[0].value).desc.shape, (Shape{1, 3, 224, 224}));
  EXPECT_EQ(dims.value(dims.inputs[1].value).desc.shape, (Shape{2, 1, 4, 5}));
  EXPECT_EQ(dims.inputs[1].layer, -1);
  EXPECT_EQ(dims.inputs[1].top, 1);
  const Graph shapes = graph_of(
      "input: 'a' input_shape { dim: 6 dim: 5 } layer { name: 'r' type: 'ReLU' bottom: 'a' top: "
      "'b' }");
  EXPECT_EQ(shape_of(shapes, "b"), (Shape{6, 5}));
}

TEST(Inputs, OptionsOverrideShapes) {
  const GraphOptions options{.input_shapes = {{"x", Shape{7, 3}}, {"unused", Shape{1}}}};
  EXPECT_EQ(shape_of(graph_of(input_text("2 3") + layer_text("ReLU"), options), "y"),
            (Shape{7, 3}));
  EXPECT_EQ(shape_of(graph_of("input: 'x' " + layer_text("ReLU"), options), "y"), (Shape{7, 3}));
  const std::string without_shape = "layer { name: 'i' type: 'Input' top: 'x' }";
  EXPECT_EQ(shape_of(graph_of(without_shape + layer_text("ReLU"), options), "y"), (Shape{7, 3}));
}

TEST(Inputs, DataLayersTakeTheirShapesFromTheSource) {
  const std::string text =
      "layer { name: 'data' type: 'Data' top: 'data' top: 'label' }"
      "layer { name: 'r' type: 'ReLU' bottom: 'data' top: 'y' }";
  const Graph graph =
      graph_of(text, {.input_shapes = {{"data", Shape{8, 3, 32, 32}}, {"label", Shape{8}}}});
  ASSERT_EQ(graph.inputs.size(), 2u);
  EXPECT_EQ(graph.inputs[1].layer, 0);
  EXPECT_EQ(graph.inputs[1].top, 1);
  EXPECT_EQ(graph.value(graph.inputs[1].value).name, "label");
  EXPECT_EQ(shape_of(graph, "y"), (Shape{8, 3, 32, 32}));
}

TEST(Inputs, DummyData) {
  const Graph graph = graph_of(
      "layer { name: 'd' type: 'DummyData' top: 'a' top: 'b' dummy_data_param {"
      " num: 2 channels: 3 channels: 1 height: 4 width: 5 } }");
  EXPECT_EQ(shape_of(graph, "a"), (Shape{2, 3, 4, 5}));
  EXPECT_EQ(shape_of(graph, "b"), (Shape{2, 1, 4, 5}));
  const Graph one = graph_of(
      "layer { name: 'd' type: 'DummyData' top: 'a' top: 'b' dummy_data_param { shape { dim: 2 } } "
      "}");
  EXPECT_EQ(shape_of(one, "b"), Shape{2});
}

TEST(PropagateDown, StopsGradientsAtTheEdge) {
  const std::string text =
      input_text("2 3") +
      "layer { name: 'a' type: 'ReLU' bottom: 'x' top: 'a' }"
      "layer { name: 'b' type: 'Softmax' bottom: 'a' top: 'b' propagate_down: false }"
      "layer { name: 'c' type: 'Softmax' bottom: 'a' top: 'c' propagate_down: true }";
  const Graph train = train_graph_of(text);
  ASSERT_EQ(ops_of(train), (Names{"Relu", "Reshape", "Softmax", "Softmax"}));
  const ValueId a = train.nodes[0].out[0], stopped = train.nodes[1].out[0];
  EXPECT_EQ(train.nodes[2].in[0], stopped);
  EXPECT_EQ(train.nodes[3].in[0], a);
  EXPECT_TRUE(train.value(stopped).stop_gradient);
  EXPECT_FALSE(train.value(a).stop_gradient);
  EXPECT_EQ(ops_of(graph_of(text)),
            (Names{"Relu", "Softmax", "Softmax"}));  // TEST: nothing to stop
}

TEST(PropagateDown, InputsHaveNoGradientAnyway) {
  const Graph graph =
      train_graph_of(input_text("2 3") + layer_text("Softmax", "propagate_down: false"));
  EXPECT_EQ(ops_of(graph), Names{"Softmax"});
}

}  // namespace
}  // namespace resnet::test
