// Small folders of image files, and tar files of them made by tar(1).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/data_test_util.h"

namespace resnet::testing {

// Writes files, making their folders: {"cat/1.jpg", "content"}, ..
inline void write_files(const std::string& folder,
                        const std::map<std::string, std::string>& files) {
  for (const auto& [name, content] : files) {
    const std::filesystem::path path = std::filesystem::path(folder) / name;
    std::filesystem::create_directories(path.parent_path());
    write_text(path.string(), content);
  }
}

// Packs `what` of `folder` into `tar` with further options of tar(1).
inline void pack(const std::string& tar, const std::string& folder, const std::string& what,
                 const std::string& options = "") {
  const std::string command = "tar -cf '" + tar + "' " + options + " -C '" + folder + "' " + what;
  ASSERT_EQ(std::system(command.c_str()), 0) << command;
}

// "KEY LABEL CONTENT" of every record.
inline std::vector<std::string> contents(const DataSource& source) {
  std::vector<std::string> out;
  for (int64_t i = 0; i < source.size(); ++i) {
    const Record record = source.read(i);
    EXPECT_EQ(record.key, source.key(i));
    EXPECT_TRUE(record.encoded);
    out.push_back(record.key + " " + std::to_string(record.label) + " " +
                  std::string(record.bytes.begin(), record.bytes.end()));
  }
  return out;
}

using Strings = std::vector<std::string>;

}  // namespace resnet::testing
