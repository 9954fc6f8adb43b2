// `resnet test` by the protocols that average over several views of an image, and over models.
#pragma once

#include "cli.h"
#include "report_folder.h"

namespace resnet::cli {

// Whether --scales, --average or several models ask for it.
bool wants_views();

// Runs the test, writes its report unless that is null, and prints its result. Throws ConfigError and
// DataError.
ExitCode test_views(ReportFolder* report);

}  // namespace resnet::cli
