// `resnet convert` for sets of image files.
#pragma once

#include "cli.h"

namespace resnet::cli {

// Whether "convert KIND" is about image files: folder, list, tar, imagenet.
bool is_image_set(const std::string& kind);

// Converts what the operands name (KIND and, but for imagenet, a path) as the flags say, and prints
// a report.
ExitCode convert_image_set(const Operands& operands);

}  // namespace resnet::cli
