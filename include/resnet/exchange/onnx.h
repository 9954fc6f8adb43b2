// ONNX models: nets written for other runtimes, and read back to check what was written. docs/formats.md says
// what becomes of each layer.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "resnet/graph/graph.h"
#include "resnet/net/net.h"

namespace resnet {

// The operator sets that can be written; the operators in use are the same in all of them.
constexpr int kFirstOnnxOpset = 17, kLastOnnxOpset = 28;

struct OnnxOptions {
  int opset = kFirstOnnxOpset;
  bool fold_bn = false;  // BatchNorm, and the Scale after it, into the convolution before it
  int64_t batch = 0;     // images per batch; 0: any number, the dimension "N"
  // Level, stages, shapes of the tops of Data layers, places of layers for messages; the phase is TEST.
  GraphOptions graph{};
  std::string producer_version{};  // of this program; "": not stated
  std::map<std::string, std::string>
      metadata{};  // in addition to what the net's preprocessing says
};

// Writes the net of phase TEST, whose layers hold their blobs (with_weights()), as an ONNX model with
// float32 weights. Inputs and outputs, which are the blobs that no layer reads, have the names of blobs;
// net.preprocessing() becomes metadata. Throws ConfigError for an opset out of range and, one line each,
// for all layers that cannot be exported; DataError for blobs that are missing or of another shape, for
// more than 2 GiB, and when the file cannot be written.
void write_onnx(const std::string& path, const NetParameter& net, const OnnxOptions& options);

// What is said in a model about itself.
struct OnnxInfo {
  int opset = 0;
  std::vector<std::string> inputs, outputs;
  std::set<std::string> values;          // names of all that nodes write
  std::map<std::string, int> operators;  // how many nodes have each
  std::map<std::string, std::string> metadata;
};
OnnxInfo read_onnx_info(const std::string& path);  // throws DataError

// Evaluates a model that write_onnx() wrote, by plain loops of its own: no op, plan or backend of this program
// takes part. `inputs` by name; returns the values with these names, outputs or others (weights included).
// Throws DataError for a file that is no such model, for inputs that are missing or do not fit, and for
// names that do not exist.
std::map<std::string, HostArray> evaluate_onnx(const std::string& path,
                                               const std::map<std::string, HostArray>& inputs,
                                               const std::vector<std::string>& names);

}  // namespace resnet
