// validate() catches what a faulty pass could leave behind.
#include "graph/net_text.h"

namespace resnet::test {
namespace {

Graph valid_graph() {
  return train_graph_of(input_text("4 3 8 8") + layer_text("BatchNorm") +
                        "layer { name: 'r' type: 'ReLU' bottom: 'y' top: 'y' }");
}

std::string fault_of(const Graph& graph) {
  try {
    validate(graph);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "none";
}

TEST(Validate, AcceptsWhatIsBuilt) { EXPECT_EQ(fault_of(valid_graph()), "none"); }

TEST(Validate, ReadBeforeWritten) {
  Graph graph = valid_graph();
  std::swap(graph.nodes.front(), graph.nodes.back());
  EXPECT_EQ(fault_of(graph),
            "invalid graph: Relu (forward) of layer 'r': reads value 4 ('y') before it is written");
}

TEST(Validate, WrittenTwice) {
  Graph graph = valid_graph();
  graph.nodes.push_back(graph.nodes.back());
  EXPECT_NE(fault_of(graph).find("('y') twice"), std::string::npos) << fault_of(graph);
}

TEST(Validate, WrongShape) {
  Graph graph = valid_graph();
  graph.value(graph.nodes.back().out[0]).desc.shape = Shape{4, 3, 8, 7};
  EXPECT_NE(fault_of(graph).find("instead of"), std::string::npos) << fault_of(graph);
}

TEST(Validate, WrongNumberOfOutputs) {
  Graph graph = valid_graph();
  graph.nodes.front().out.pop_back();
  EXPECT_NE(fault_of(graph).find("has 2 outputs instead of 3"), std::string::npos);
}

TEST(Validate, OutputNeverWritten) {
  Graph graph = valid_graph();
  graph.nodes.pop_back();
  EXPECT_EQ(fault_of(graph), "invalid graph: output 'y' is never written");
}

TEST(Validate, ValueOutOfRange) {
  Graph graph = valid_graph();
  graph.nodes.back().in[0] = 1000;
  EXPECT_NE(fault_of(graph).find("value 1000, which does not exist,"), std::string::npos);
}

}  // namespace
}  // namespace resnet::test
