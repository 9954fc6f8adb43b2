// Comparing the prototxt files under models/ with what `resnet define` writes.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "resnet/io/files.h"

namespace resnet::cli {

// models/FAMILY/NAME holds what `resnet define` writes. RESNET_UPDATE=1 rewrites it.
template <class Net>
void check_committed(const std::string& family, const Net& net) {
  const std::string folder =
      std::string(RESNET_SOURCE_DIR) + "/models/" + family + "/" + file_name(net) + "/";
  const std::pair<std::string, std::string> files[] = {{"train_val.prototxt", train_val_text(net)},
                                                       {"deploy.prototxt", deploy_text(net)},
                                                       {"solver.prototxt", solver_text(net)}};
  for (const auto& [name, text] : files) {
    if (std::getenv("RESNET_UPDATE") != nullptr) {
      std::filesystem::create_directories(folder);
      write_file_atomic(folder + name, {text});
    }
    EXPECT_TRUE(read_file(folder + name) == text)
        << folder + name << " is stale; run models_test with RESNET_UPDATE=1";
  }
}

}  // namespace resnet::cli
