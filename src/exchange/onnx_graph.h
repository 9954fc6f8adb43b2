// From a validated graph of phase TEST to the nodes of an ONNX model. Internal to src/exchange.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "resnet/graph/graph.h"
#include "resnet/proto/onnx.pb.h"

namespace resnet::onnx {

// Why the op of a node cannot be exported: "fact; what to do". Empty when it can.
std::string refusal(const Node& node);

// Names that differ from each other.
class Names {
 public:
  // `wanted`, or that with a number behind it.
  std::string unique(const std::string& wanted);

 private:
  std::set<std::string> used_;
};

class GraphWriter {
 public:
  // `graph` and `other` are one net for two batch sizes: dimensions in which they differ are left open. For a
  // fixed batch they are one object. No node has a refusal(). `net` holds the blobs. fold_bn: as OnnxOptions.
  GraphWriter(const Graph& graph, const Graph& other, const NetParameter& net, bool fold_bn);

  // Throws DataError for blobs that are missing or do not fit.
  GraphProto write();

 private:
  void name_values();
  void find_merges(bool fold_bn);
  void write_inputs();
  void write_outputs();
  void describe_values();
  void describe_value(ValueInfoProto* info, const std::string& name, ValueId value) const;
  bool varies(ValueId value, int axis) const {
    return shape(value)[axis] != other_shape(value)[axis];
  }

  void write(const Convolution& op, const Node& node);
  void write(const InnerProduct& op, const Node& node);
  void write(const BatchNorm& op, const Node& node);
  void write(const Scale& op, const Node& node);
  void write(const Relu& op, const Node& node);
  void write(const Eltwise& op, const Node& node);
  void write(const Pooling& op, const Node& node);
  void write(const Softmax& op, const Node& node);
  void write(const Concat& op, const Node& node);
  void write(const Reshape& op, const Node& node);
  void write(const IdentityShortcut& op, const Node& node);
  template <class T>
  void write(const T& op, const Node& node);  // ops that are refused

  // Appends a node; returns it for its attributes.
  NodeProto& add(const std::string& type, const std::string& name,
                 const std::vector<std::string>& in, const std::string& out);
  void add_reshape(const std::string& node, const std::string& in, ValueId out);
  // A new name for a value inside of a layer.
  std::string inner(const Node& node, const std::string& what);
  // Add initialisers; return their names.
  std::string floats(const std::string& wanted, const std::vector<int64_t>& dims,
                     const std::vector<float>& values);
  std::string ints(const std::string& wanted, const std::vector<int64_t>& values);
  // Adds the parameter behind a value as it is, with `dims` in place of its own if given.
  std::string parameter(ValueId value, const std::vector<int64_t>& dims = {});
  std::vector<float> values_of(ValueId value) const;

  // A BatchNorm with the Scale that is merged into it: y = gamma (x - mean) / sqrt(variance + eps) + beta.
  struct Norm {
    std::vector<double> mean, variance;
    std::vector<float> gamma, beta;
    double eps = 0;
  };
  Norm norm_of(const Node& node) const;
  // The value that it writes, or that the Scale writes.
  const std::string& result_of(const Node& norm) const;

  const Shape& shape(ValueId value) const { return graph_.value(value).desc.shape; }
  const Shape& other_shape(ValueId value) const { return other_.value(value).desc.shape; }
  const std::string& name(ValueId value) const { return value_names_[static_cast<size_t>(value)]; }

  const Graph &graph_, &other_;
  std::map<std::string, const LayerParameter*> layers_;  // of two layers of one name, the first
  Names values_, nodes_;                                 // names in use
  std::vector<std::string> value_names_;                 // by ValueId; empty for parameters
  std::set<ValueId> outputs_;
  std::map<const Node*, const Node*> scale_after_;  // a BatchNorm and the Scale that joins it
  std::map<const Node*, const Node*> norm_after_;   // a convolution and the BatchNorm that joins it
  std::set<const Node*> joined_;                    // those Scales and BatchNorms
  GraphProto out_;
};

// How an ONNX pooling without rounding up does what Caffe's does, in one direction.
struct PoolingAxis {
  int64_t end_pad = 0;            // pixels behind the image that windows reach
  std::vector<int64_t> divisors;  // by output position: the extent that an average divides by
  bool full = true;               // all divisors are the kernel's extent
};
PoolingAxis pooling_axis(const Pooling& op, size_t axis, int64_t in, int64_t out);

// Adds an attribute to a node.
void set_attribute(NodeProto& node, const std::string& name, int64_t value);
void set_attribute(NodeProto& node, const std::string& name, float value);
void set_attribute(NodeProto& node, const std::string& name, const std::vector<int64_t>& values);

}  // namespace resnet::onnx
