// Devices and precisions by the names that users give them.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "resnet/backend/backend.h"

namespace resnet {

// "auto": the first GPU where one can be used, else the CPU, with a warning in the log if the GPU's
// backend was there and failed. Other names as make_backend(), which also says what is thrown.
std::shared_ptr<Backend> open_device(const std::string& device);

// "FLOAT32", "BFLOAT16" or "FLOAT16": the type that activations are exchanged in. Nothing for other text.
std::optional<DType> math_type(const std::string& math);

// Why the backend does not compute in this type; "" if it does.
std::string math_obstacle(DType math, const Backend& backend);

}  // namespace resnet
