// `resnet time --data`: how fast images are made ready for a net.
#pragma once

#include "resnet/base/error.h"

namespace resnet::cli {

// Times the data layer of --model or --solver, or the paper's augmentation of --source.
ExitCode time_data();

}  // namespace resnet::cli
