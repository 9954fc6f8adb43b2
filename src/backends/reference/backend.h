// The `reference` backend: every op as plain loops over row-major tensors, one thread, never
// optimised. It says what the other backends must compute.
#pragma once

#include <memory>

#include "resnet/backend/backend.h"

namespace resnet {

std::unique_ptr<Backend> make_reference_backend();

}  // namespace resnet
