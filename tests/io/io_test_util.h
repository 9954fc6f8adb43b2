// Scratch directories and reference files for the tests of src/io.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "resnet/base/error.h"

namespace resnet::testing {

// A directory that goes away with the object.
class ScratchDirectory {
 public:
  ScratchDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "resnet_io_XXXXXX").string();
    if (!::mkdtemp(name.data())) throw DataError("cannot create " + name);
    path_ = name;
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Folder of the optional reference data (files that Caffe itself wrote).
inline std::string shared_dir() {
  const char* dir = std::getenv("RESNET_SHARED_DIR");
  return dir ? dir : RESNET_SHARED_DIR;
}

// The text of the error that `action` throws; fails if it throws none of type E.
template <class E, class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    ADD_FAILURE() << "another type of error: " << e.what();
    return {};
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace resnet::testing

#define RESNET_NEEDS_FILE(path)                                                      \
  if (!std::filesystem::exists(path)) {                                              \
    GTEST_SKIP() << "needs the reference data " << (path) << " (RESNET_SHARED_DIR)"; \
  }
