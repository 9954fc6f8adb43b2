// Builds a Graph layer by layer and collects the errors of all layers. Internal to src/graph.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "resnet/graph/graph.h"

namespace resnet {

class GraphBuilder {
 public:
  GraphBuilder(const NetParameter& net, const GraphOptions& options);

  // Throws one ConfigError with every line of errors_.
  Graph build();

 private:
  // The last value of a blob name.
  struct Blob {
    ValueId value = kNoValue;  // kNoValue: the layer that writes it failed ("poisoned")
    int layer = -1;            // that layer; -1 for legacy inputs
    bool read = false;
  };

  std::string where(int layer) const;
  // Notes "file:line: layer 'x': message"; layer -1: "file: message".
  void report(int layer, const std::string& message);

  void add_legacy_inputs();
  void add_layer(int index);
  // The values of the layer's tops. Throw ConfigError "fact; what to do".
  std::vector<ValueId> make_tops(int index, std::vector<ValueId> bottoms);
  std::vector<ValueId> make_input_tops(int index);
  // An input of the net; `stated` is what the file says of its shape, if anything.
  ValueId add_input(const std::string& blob, const Shape* stated, int layer, int top);
  // Whether the options give a shape for each of the blobs.
  bool all_chosen(const google::protobuf::RepeatedPtrField<std::string>& blobs) const;

  // These append to `problems`.
  void check_names(int index, std::vector<std::string>& problems);
  // The values of the bottoms (kNoValue: poisoned), without those that are missing.
  std::vector<ValueId> resolve_bottoms(int index, std::vector<std::string>& problems);
  // Makes the tops' names stand for `values`.
  void bind_tops(int index, const std::vector<ValueId>& values, std::vector<std::string>& problems);

  std::string explain_missing(int index, const std::string& bottom) const;
  void collect_outputs();

  const NetParameter& net_;
  const GraphOptions& options_;
  NetState state_;
  Graph graph_;
  std::map<std::string, Blob> blobs_;
  std::map<std::string, int> layer_names_;   // -> index of the layer that has the name
  std::map<std::string, int> shared_names_;  // param { name } -> index of the layer
  std::vector<std::string> errors_;
};

}  // namespace resnet
