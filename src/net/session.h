// A Program bound to memory.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "resnet/net/net.h"

namespace resnet {

// One kernel call with its tensors.
struct BoundStep {
  int node = 0;
  const Kernel* kernel = nullptr;
  std::vector<Tensor> in{}, out{};
  std::byte* scratch = nullptr;  // in the arena; nullptr where the kernel wants none
  double seconds = 0;            // of the last timed run
};

// A value made from weights, which sessions share.
struct Derived {
  Buffer memory;
  int64_t version = -1;  // of the weights that it was made from
};

// What is copied to a device for an input. Two host buffers take turns: one is filled while the other is
// copied.
struct Arrival {
  TensorDesc desc{};
  Buffer memory{};  // of the device; empty: that of the input
  Buffer host[2]{};
};

// An input of a program, in the form that its steps read. On a device it arrives as plain floats, or as
// pixels and their placements.
struct InputBuffer {
  TensorDesc desc{};
  Buffer memory{};                  // of the backend
  std::vector<Arrival> arrivals{};  // none where `memory` is host memory
  std::unique_ptr<Mark> copied[2]{};
  int turn = 0;
  bool touched = false;  // the buffers of this turn were given out since they were copied last

  // From the arrivals (and the mean) to `memory`; null where that is where they go.
  std::shared_ptr<const Kernel> conversion{};
  std::shared_ptr<const PixelRule> rule{};  // with pixels
  Buffer mean{};

  int64_t bytes() const {
    int64_t sum = memory.bytes();
    for (const Arrival& arrival : arrivals) sum += arrival.memory.bytes();
    return sum;
  }
};

// What Net::session() is asked for.
struct SessionRequest {
  Phase phase = TEST;
  int64_t batch = 0;                      // of every input; 0: as the file and the sources say
  std::map<std::string, Shape> shapes{};  // of single inputs
  std::vector<std::string> keep{};

  bool operator==(const SessionRequest&) const = default;
  SessionRequest with_batch(int64_t n) const {
    SessionRequest other = *this;
    other.batch = n;
    for (auto& [name, shape] : other.shapes) shape[0] = n;
    return other;
  }
};

class Session {
 public:
  SessionRequest request;
  Program program;
  std::vector<InputBuffer> inputs;  // whole batch, by Graph::inputs
  Buffer persistent;                // Placement::Where::persistent
  std::map<ValueId, std::shared_ptr<Derived>> derived;
  double clock_seed = 0;
  double clock_position = 0;

  // Bound tensors; rebuilt when the Net's arena moves.
  std::vector<BoundStep> prepare, prologue, forward, backward, statistics;
  const std::byte* bound_arena = nullptr;
  const std::byte* bound_metrics = nullptr;
  bool bound = false;
  std::map<int, std::unique_ptr<Recording>> recordings;  // of batches, by kind (trainer.cpp)
  std::map<int, int> batches_run;                        // since they were bound, by kind
  int bound_shard = 0;
  int64_t prepared_version = -1;  // of the weights that all of `derived` was made from

  // What dropping the session sets free, but for values that others share.
  int64_t own_bytes() const {
    int64_t bytes = persistent.bytes();
    for (const InputBuffer& input : inputs) bytes += input.bytes();
    return bytes;
  }
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
