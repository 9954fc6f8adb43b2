// The CPU backend: convolutions and matrix products from oneDNN, everything else from vectorised
// kernels of our own on the same blocked layouts.
#pragma once

#include <memory>

#include "resnet/backend/backend.h"

namespace resnet {

// Throws ConfigError for an unknown RESNET_MAX_CPU_ISA (avx512, avx2 or portable).
std::unique_ptr<Backend> make_onednn_backend();

}  // namespace resnet
