// The control groups that limit this process. Internal to src/base.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace resnet {

// Folders of the process's cgroup (version 2) and its ancestors, the root last.
std::vector<std::string> cgroup_folders();

// Nothing where the file does not exist.
std::optional<std::string> first_line(const std::string& path);

}  // namespace resnet
