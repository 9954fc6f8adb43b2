// Which of cuDNN's engines computes a pass of a convolution, by a rule that needs no GPU.
#pragma once

#include <string>
#include <vector>

#include "backends/cuda/cudnn/engines.h"
#include "resnet/backend/backend.h"

namespace resnet::cuda {

// Whether an engine may compute with operands of this type: sums in f32 always; f32 operands unrounded
// unless TF32 is allowed; the same bits every time if deterministic; Winograd and FFT only when tuning,
// because their errors are larger.
bool allowed(const Engine& engine, DType type, const BackendOptions& options);

// The allowed engines of a graph in the order in which they are tried: cuDNN's, but those that are compiled
// at run time last.
std::vector<Engine> candidates(const ConvolutionGraph& graph, DType type,
                               const BackendOptions& options);
// Those that may run in at most `workspace_bytes`, made ready; no more than `most`.
std::vector<BuiltEngine> build_some(const ConvolutionGraph& graph,
                                    const std::vector<Engine>& engines, int64_t workspace_bytes,
                                    size_t most);

// What cuDNN is asked to compute in place of desc: no accumulation; diff_weights of 16-bit tensors in their
// type, because no engine writes f32 there.
OpDesc library_desc(const OpDesc& desc);

}  // namespace resnet::cuda
