// A Program bound to memory.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "resnet/net/net.h"

namespace resnet {

// One kernel call with its tensors.
struct BoundStep {
  int node = 0;
  const Kernel* kernel = nullptr;
  std::vector<Tensor> in{}, out{};
  double seconds = 0;  // of the last timed run
};

class Session {
 public:
  std::string key;  // phase, input shapes, kept blobs
  Phase phase = TEST;
  Program program;
  std::vector<Buffer> inputs;  // whole batch, by Graph::inputs
  Buffer persistent;           // Placement::Where::persistent
  double clock_seed = 0;
  double clock_position = 0;

  // Bound tensors; rebuilt when the Net's arena moves.
  std::vector<BoundStep> prepare, prologue, forward, backward, statistics;
  const std::byte* bound_arena = nullptr;
  bool bound = false;
  int bound_shard = 0;
  int64_t prepared_version = -1;  // of the weights

  std::vector<std::vector<BoundStep>*> sections() {
    return {&prepare, &prologue, &forward, &backward, &statistics};
  }
  // Index in Graph::inputs, or -1.
  int input_index(ValueId value) const {
    for (size_t i = 0; i < program.graph.inputs.size(); ++i) {
      if (program.graph.inputs[i].value == value) return static_cast<int>(i);
    }
    return -1;
  }
};

}  // namespace resnet
