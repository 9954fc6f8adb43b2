// From a validated Graph to something that runs: passes (merge, fuse, differentiate, choose layouts,
// recompute), compiled kernels, and a memory plan. A Program holds no memory; the Net binds it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/graph/graph.h"

namespace resnet {

struct PlanOptions {
  bool fuse = true;   // merge BatchNorm+Scale, fuse additions and ReLU, fold BatchNorm in inference
  bool reuse = true;  // let values whose lifetimes do not overlap share memory
  bool layouts = true;  // let the backend choose memory layouts; false: nchw everywhere
  // Copy weights to other layouts when they are read, and rebuild cheap tensors (BatchNorm + ReLU outputs) in
  // backward, until the arena fits into this many bytes or nothing is left to rebuild; 0: off.
  int64_t memory_budget_bytes = 0;
  // Inference: weights of convolutions may be prepared at length. Not for programs that run a few times, such
  // as those for the many sizes of a dense test: they would hold further forms of all weights.
  bool prepare_weights = true;
  bool backward = false;          // training: differentiate every loss
  bool input_gradients = false;   // also for inputs (gradient checks)
  std::vector<std::string> keep;  // blobs that must be readable after a run
  int shards = 1;                 // the batch is split: loss normalisers refer to the whole batch
  // Type of activations and their gradients between convolutions: f32, or bf16 or f16, with weights,
  // their gradients and statistics in f32.
  DType math = DType::f32;
};

// Whether the Net keeps copies of the weights in `math`, which the update writes (SgdUpdate). Where the
// backend's update writes none, every program derives its own from the weights, in the layouts that its
// convolutions want.
bool keeps_weight_copies(const Backend& backend, DType math);

// What the programs of one Net share.
struct PlanContext {
  Backend* backend = nullptr;
  // Storage of the parameters by Parameter::name(); a program that meets an unset entry chooses it.
  std::map<std::string, TensorDesc> parameters;
  // Compiled kernels by OpDesc::str() of their descriptors; expired ones are dropped.
  std::map<std::string, std::vector<std::pair<OpDesc, std::weak_ptr<const Kernel>>>> kernels;

  std::shared_ptr<const Kernel> compile(const OpDesc& desc);
};

// Where a value lives.
struct Placement {
  enum class Where : uint8_t {
    none,        // not used
    arena,       // shared by all programs of a Net, contents valid within one run
    persistent,  // this program's own: label counts
    state,       // in the Net's state of training (training_rules.h), `offset` bytes from its start
    metrics,     // losses and metrics, side by side in the order of Graph::outputs
    derived,     // depends on parameters only: shared by the programs that derive it equally
    input,       // the whole batch's input buffers
    parameter    // weights and state, gradients and statistics: the Net's stores
  };
  Where where = Where::none;
  int64_t offset = 0;  // bytes, for arena, persistent, state and metrics
  int64_t bytes = 0;
  // In the arena: the first and last node that needs it; graph.nodes.size() if it is read afterwards.
  int begin = 0, end = -1;
};

// One kernel call. `node` indexes graph.nodes.
struct Step {
  int node = 0;
  std::shared_ptr<const Kernel> kernel;
  int64_t scratch_offset = 0;  // of its scratchpad, from the arena's start
};

struct Program {
  Graph graph;  // after all passes; every layout fixed
  std::vector<Step> prepare{}, prologue{}, forward{}, backward{}, statistics{};
  std::vector<Placement> placement{};  // by ValueId
  int64_t arena_bytes = 0;             // values only
  int64_t scratch_bytes = 0;  // behind them, for scratchpads that find no room where no value lives
  int64_t persistent_bytes = 0;
  int64_t derived_bytes = 0;
  int64_t metrics_count = 0;  // elements placed `metrics`: a value and its weight for each
  // How the values placed `derived` follow from parameters: equal recipes give equal values.
  std::map<ValueId, std::string> recipes{};
  int64_t live_bytes =
      0;               // the largest sum of bytes alive at one step: a lower bound of arena_bytes
  int recomputed = 0;  // tensors rebuilt in backward
  PlanOptions options{};
};

// Runs all passes and compiles. Throws ConfigError / DeviceError naming every (layer, op, reason) that
// the backend cannot do.
Program plan(Graph graph, const PlanOptions& options, PlanContext& context);

// The same without kernels, which is much faster: no steps, and scratch_bytes is 0.
Program plan_memory(Graph graph, const PlanOptions& options, PlanContext& context);

// The step table that `resnet plan` prints: fusions, kernels, layouts, bytes.
std::string describe(const Program& program);

// The `count` largest inputs and tensors of the arena, one a line: size, type, shape, layout, name, and
// where they come from.
std::string describe_largest(const Program& program, int count);

}  // namespace resnet
