#include <iostream>

#include "resnet/backend/backend.h"
#include "resnet/graph/graph.h"
#include "resnet/io/prototxt.h"

int main() {
  const resnet::NetParameter net = resnet::parse_net_prototxt(
      "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: [1, 3, 32, 32] } "
      "} }"
      "layer { name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'fc' inner_product_param { "
      "num_output: 10 } }");
  const resnet::Graph graph = resnet::build_graph(net, {});
  std::cout << graph.outputs.at(0).name << " "
            << graph.value(graph.outputs[0].value).desc.shape.str() << " "
            << resnet::make_backend("reference")->name() << "\n";
}
