// Every command of `resnet`.
#pragma once

#include <string>
#include <vector>

#include "cli.h"

namespace resnet::cli {

// In the order of `resnet --help`.
const std::vector<const Command*>& commands();

// Throws ConfigError, with the nearest name, for an unknown one.
const Command& find_command(const std::string& name);

}  // namespace resnet::cli
