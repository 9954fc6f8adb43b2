#include "backends/cuda/cudnn/selection.h"

#include <algorithm>

namespace resnet::cuda {

bool allowed(const Engine& engine, DType type, const BackendOptions& options) {
  if (engine.short_sums) return false;
  if (type == DType::f32 && (engine.tensor_core || engine.down_convert) && !options.tf32) {
    return false;
  }
  if (engine.nondeterministic && options.deterministic) return false;
  return !engine.transformed || options.tune;
}

std::vector<Engine> candidates(const ConvolutionGraph& graph, DType type,
                               const BackendOptions& options) {
  std::vector<Engine> engines = graph.engines();
  std::erase_if(engines, [&](const Engine& e) { return !allowed(e, type, options); });
  std::stable_partition(engines.begin(), engines.end(),
                        [](const Engine& e) { return !e.compiled; });
  return engines;
}

std::vector<BuiltEngine> build_some(const ConvolutionGraph& graph,
                                    const std::vector<Engine>& engines, int64_t workspace_bytes,
                                    size_t most) {
  std::vector<BuiltEngine> result;
  for (const Engine& engine : engines) {
    if (result.size() == most) break;
    auto built = graph.build(engine);
    if (built && built->workspace_bytes <= workspace_bytes) result.push_back(std::move(*built));
  }
  return result;
}

OpDesc library_desc(const OpDesc& desc) {
  OpDesc result = desc;
  result.accumulate.clear();
  result.out[0].dtype = desc.in[0].dtype;
  return result;
}

}  // namespace resnet::cuda
