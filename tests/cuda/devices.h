// What the tests of whole training runs use as a device.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "resnet/backend/backend.h"
#include "resnet/base/error.h"
#include "test_paths.h"

namespace resnet::testing {

// The emulation, and the GPU where there is one.
inline std::vector<std::string> devices() {
  std::vector<std::string> all;
  if (std::filesystem::exists(emulated_cuda_path())) all.push_back(emulated_cuda_path());
  if (cuda_obstacle().empty()) {
    try {
      make_backend("cuda");
      all.emplace_back("cuda");
    } catch (const DeviceError&) {  // SaysWhyThereIsNoGpu shows it
    }
  }
  return all;
}

}  // namespace resnet::testing
