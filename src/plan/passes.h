// The passes of plan(), in the order in which they run. Each maps a valid graph to a valid graph.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/graph/graph.h"
#include "resnet/plan/program.h"

namespace resnet::plan_passes {

// Values that must survive: outputs, kept blobs. `keep` entries are blob names or "layer:NAME" for a
// layer's own first top; throws ConfigError for an unknown one.
std::set<ValueId> protected_values(const Graph& graph, const std::vector<std::string>& keep);

// UpdateStatistics -> statistics, CountLabels -> prologue, and their nodes to those ends of the list.
void assign_sections(Graph& graph);

// BatchNorm + Scale -> BatchNorm with gamma and beta.
void merge_batch_norm_scale(Graph& graph, const std::set<ValueId>& keep, const Backend& backend);

// BatchNorm (+ addition) (+ ReLU) -> one BatchNorm; sum + ReLU -> sum. With `masks`, fused ReLUs write one
// bit per element for backward.
void fuse_batch_norm(Graph& graph, const std::set<ValueId>& keep, const Backend& backend,
                     bool masks);

// IdentityShortcut -> the BatchNorm (with addition and ReLU) that adds it. After what may absorb that
// BatchNorm itself.
void fold_shortcuts(Graph& graph, const std::set<ValueId>& keep, const Backend& backend);

// Inference: fixed-statistics BatchNorm into the convolution before it; addition and ReLU into the
// convolution, whose weights are then fixed if `prepare`.
void fuse_convolution(Graph& graph, const std::set<ValueId>& keep, const Backend& backend,
                      bool prepare);

// Keeps activations between convolutions in `math` (bf16 or f16; f32: nothing to do), with the conversions
// that this takes. Weights of convolutions become copies that the Net keeps; statistics, vectors of
// channels, products and losses stay in f32. With f16 in training, adds the loss scale.
void lower_precision(Graph& graph, DType math, bool training);

// Appends the backward nodes of every loss. Gradients of learnable parameters with lr_mult != 0 become
// values of kind gradient; of inputs (on request) are kept under the name "diff:BLOB".
void differentiate(Graph& graph, bool input_gradients);

// Drops nodes whose outputs nothing needs.
void eliminate_dead(Graph& graph, const std::set<ValueId>& keep);

// Turns a sum into "add to the output" of the op that made its last term, where that is native.
void accumulate_sums(Graph& graph, const std::set<ValueId>& keep, const Backend& backend);

// Fixes every layout: asks the backend op by op, inserts Reorder nodes, chooses unset parameter layouts.
void choose_layouts(Graph& graph, PlanContext& context, bool blocked);

// Inputs that a single Reorder reads get its layout and type, and the Reorder goes: whoever brings them to
// the device writes them so.
void adopt_inputs(Graph& graph, const std::set<ValueId>& keep);

// Copies weights that programs want in another layout or type right before each step that reads them, instead of
// once when they have changed; nobody reads the nodes that did so any more.
void copy_weights_late(Graph& graph);

// BatchNorm forward nodes whose dst can be rebuilt in backward, in graph order.
std::vector<int> recompute_candidates(const Graph& graph, const std::set<ValueId>& keep);
// Rebuilds the dst of the given nodes right before its first use in backward.
void recompute(Graph& graph, const std::vector<int>& nodes);

}  // namespace resnet::plan_passes
