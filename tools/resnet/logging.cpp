#include "logging.h"

#include <glog/logging.h>
#include <unistd.h>

#include <algorithm>
#include <exception>

#include "flags.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

// As an attribute of the type, which glog asks for.
__attribute__((noreturn)) void exit_after_bug() { _exit(static_cast<int>(ExitCode::internal)); }

}  // namespace

void start_logging() {
  const bool to_files = !FLAGS_log_dir.empty();
  if (to_files && access(FLAGS_log_dir.c_str(), W_OK | X_OK) != 0) {
    throw ConfigError("--log_dir: cannot write in '" + FLAGS_log_dir + "'; create the folder");
  }
  const int32_t least = std::max<int32_t>(FLAGS_minloglevel, FLAGS_quiet ? google::WARNING : 0);
  FLAGS_logtostderr = !to_files;
  FLAGS_stderrthreshold = least;
  if (!to_files) FLAGS_minloglevel = least;
  google::InitGoogleLogging("resnet");
  google::InstallFailureFunction(&exit_after_bug);
  std::set_terminate(&exit_after_bug);
}

}  // namespace resnet::cli
