// Times of engines on this GPU.
#pragma once

#include <optional>
#include <vector>

#include "backends/cuda/cudnn/engines.h"
#include "backends/cuda/device.h"

namespace resnet::cuda {

// Microseconds of one run of each engine on operands of this shape that hold small numbers: the median of
// several runs, or nothing where it does not run. Waits for the device; not inside a capture. Throws
// OutOfMemory when there is no room for the operands.
std::vector<std::optional<double>> time_engines(const Device& device, const OpDesc& desc,
                                                const std::vector<BuiltEngine>& engines);

}  // namespace resnet::cuda
