#include "solver/log_file.h"

#include <glog/logging.h>

namespace resnet {
namespace {

bool ends_inside_a_line(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in || in.tellg() <= 0) return false;
  in.seekg(-1, std::ios::end);
  return in.get() != '\n';
}

}  // namespace

LogFile::LogFile(const std::string& path) : path_(path) {
  const bool unfinished = ends_inside_a_line(path);
  out_.open(path, std::ios::app);
  if (unfinished) out_ << std::endl;
}

void LogFile::write(const std::string& line) {
  out_ << line << std::endl;
  if (out_ || failed_) return;
  failed_ = true;
  LOG(WARNING) << path_ << ": cannot be written; the run goes on without it";
}

}  // namespace resnet
