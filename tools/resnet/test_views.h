// `resnet test` by the protocols that average over several views of an image, and over models.
#pragma once

#include "cli.h"

namespace resnet::cli {

// Whether --scales, --average or several models ask for it.
bool wants_views();

// Runs the test and prints its result. Throws ConfigError and DataError.
ExitCode test_views();

}  // namespace resnet::cli
