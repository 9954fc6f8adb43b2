// Where tests find what lies outside of their program: where it was built, or, in a package, where the
// environment says.
#pragma once

#include <cstdlib>
#include <string>

namespace resnet::testing {

inline std::string path_or(const char* variable, const char* built) {
  const char* const value = std::getenv(variable);
  return value != nullptr ? value : built;
}
// The folder that holds tests/ops/shapes_resnet20.txt.
inline std::string source_dir() { return path_or("RESNET_TEST_SOURCE_DIR", RESNET_SOURCE_DIR); }
// The folder of the loadable backends.
inline std::string backend_dir() { return path_or("RESNET_TEST_BACKEND_DIR", RESNET_BACKEND_DIR); }
// The CUDA backend on the host; the file need not exist.
inline std::string emulated_cuda_path() {
  return path_or("RESNET_TEST_EMULATED_CUDA", RESNET_BACKEND_DIR "/cuda_emulated.so");
}

}  // namespace resnet::testing
