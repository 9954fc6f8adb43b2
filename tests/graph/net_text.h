// Nets from text, for tests of the graph.
#pragma once

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "resnet/base/error.h"
#include "resnet/graph/graph.h"

namespace resnet::test {

inline NetParameter net_of(const std::string& text) {
  NetParameter net;
  if (!google::protobuf::TextFormat::ParseFromString(text, &net)) {
    throw std::runtime_error("the test's prototxt does not parse: " + text);
  }
  return net;
}

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Builds and validates.
inline Graph graph_of(const std::string& text, GraphOptions options = {}) {
  Graph graph = build_graph(net_of(text), options);
  validate(graph);
  return graph;
}

inline Graph train_graph_of(const std::string& text) { return graph_of(text, {.phase = TRAIN}); }

// The error lines of a net that must fail; layer i is at "net:i" (counted from 0), the net at "net".
inline std::string errors_of(const std::string& text, GraphOptions options = {}) {
  options.locate = [](int layer) { return layer < 0 ? "net" : "net:" + std::to_string(layer); };
  try {
    build_graph(net_of(text), options);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}

// An Input layer "x" of this shape, e.g. "2 3 8 8".
inline std::string input_text(const std::string& dims, const std::string& name = "x") {
  std::istringstream numbers(dims);
  std::string text =
      "layer { name: '" + name + "_in' type: 'Input' top: '" + name + "' input_param { shape {";
  for (std::string dim; numbers >> dim;) text += " dim: " + dim;
  return text + " } } }\n";
}

// A layer "y" from "x".
inline std::string layer_text(const std::string& type, const std::string& fields = "") {
  return "layer { name: 'y' type: '" + type + "' bottom: 'x' top: 'y' " + fields + " }\n";
}

inline Shape shape_of(const Graph& graph, const std::string& blob) {
  return graph.value(graph.blobs.at(blob)).desc.shape;
}

// The shape of "y" made by one layer from "x".
inline Shape shape_after(const std::string& dims, const std::string& type,
                         const std::string& fields = "", Phase phase = TEST) {
  return shape_of(graph_of(input_text(dims) + layer_text(type, fields), {.phase = phase}), "y");
}

// The only op of its kind in the graph.
template <class T>
T the_op(const Graph& graph) {
  const T* found = nullptr;
  for (const Node& node : graph.nodes) {
    if (const T* op = std::get_if<T>(&node.op)) {
      if (found != nullptr) throw std::runtime_error("more than one such op");
      found = op;
    }
  }
  if (found == nullptr) throw std::runtime_error("no such op");
  return *found;
}

inline std::vector<std::string> ops_of(const Graph& graph) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes) names.push_back(name_of(node.op));
  return names;
}

}  // namespace resnet::test
