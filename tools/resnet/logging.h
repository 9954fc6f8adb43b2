// The log: glog on standard error.
#pragma once

namespace resnet::cli {

// Starts glog as --quiet and --log_dir say. Failed CHECKs end the process with exit code 70. Throws
// ConfigError when no file can be written in --log_dir.
void start_logging();

}  // namespace resnet::cli
