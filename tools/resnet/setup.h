// What commands that compute do first.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/base/parallel.h"
#include "resnet/plan/program.h"
#include "resnet/proto/resnet.pb.h"

namespace resnet::cli {

// Where a solver wants to compute, in the spelling of --device.
std::string device_of(const SolverParameter& param);

// Sets the number of threads and their binding as the flags say. Throws ConfigError.
void start_threads();

// Does that, sets the precision and opens the device as the flags say; without --device, the one
// that is `wanted`. Throws ConfigError for values that mean nothing and DeviceError for what this build
// or machine does not have. `choices` are the kernels of a run that goes on (BackendOptions).
std::shared_ptr<Backend> open_backend(const std::string& wanted = "auto",
                                      std::vector<std::string> choices = {});

// How the flags want a net planned: fusing, memory, layouts. Throws ConfigError.
PlanOptions plan_options();

}  // namespace resnet::cli
