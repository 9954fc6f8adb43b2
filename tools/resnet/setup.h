// What commands that compute do first.
#pragma once

#include <memory>

#include "resnet/backend/backend.h"
#include "resnet/base/parallel.h"
#include "resnet/plan/program.h"

namespace resnet::cli {

// Sets threads, binding and precision and opens the device as the flags say. Throws ConfigError for
// values that mean nothing and DeviceError for what this build or machine does not have.
std::shared_ptr<Backend> open_backend();

// How the flags want a net planned: fusing, memory, layouts. Throws ConfigError.
PlanOptions plan_options();

}  // namespace resnet::cli
