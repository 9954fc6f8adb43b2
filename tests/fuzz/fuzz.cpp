#include "fuzz/fuzz.h"

#include <glog/logging.h>
#include <google/protobuf/stubs/logging.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "resnet/base/error.h"

namespace resnet::fuzz {
namespace {

// Nothing is logged: millions of inputs would be.
void silence() {
  FLAGS_minloglevel = 3;  // fatal
  static google::protobuf::LogSilencer silencer;
}

}  // namespace

bool accepts(Target target, std::string_view input) {
  static const bool silent = (silence(), true);
  require(silent, "silence");
  try {
    target(input);
    return true;
  } catch (const InternalError&) {
    throw;
  } catch (const Error& error) {
    require(*error.what() != '\0', "an error says what is wrong");
    return false;
  }
}

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

std::vector<NamedTarget>& targets() {
  static std::vector<NamedTarget> all;
  return all;
}

MemoryFile::MemoryFile(std::string_view bytes) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  require(file >= 0, "memfd_create");
  require(ftruncate(file, 0) == 0, "ftruncate");
  require(pwrite(file, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
          "pwrite");
  path_ = "/proc/self/fd/" + std::to_string(file);
}

}  // namespace resnet::fuzz
