#include "resnet/base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "base/cgroup.h"

namespace resnet {
namespace {

// The number behind `name` in a file of lines "name number".
std::optional<int64_t> number_after(const std::string& path, const std::string& name) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    int64_t number = 0;
    if (word == name && file >> number) return number;
  }
  return std::nullopt;
}

std::optional<int64_t> number_in(const std::string& path) {
  int64_t number = 0;
  if (std::ifstream file(path); file >> number) return number;  // not "max"
  return std::nullopt;
}

// What a cgroup leaves below its limit. Pages of files count as used there, but make way.
std::optional<int64_t> left_in(const std::string& limit_file, const std::string& usage_file,
                               const std::string& statistics_file) {
  const auto limit = number_in(limit_file), used = number_in(usage_file);
  if (!limit || !used) return std::nullopt;
  const int64_t files = number_after(statistics_file, "active_file").value_or(0) +
                        number_after(statistics_file, "inactive_file").value_or(0);
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, *used - files));
}

}  // namespace

int64_t available_memory_bytes() {
  int64_t available = std::numeric_limits<int64_t>::max();
  if (const auto kib = number_after("/proc/meminfo", "MemAvailable:")) available = *kib * 1024;
  for (const std::string& folder : cgroup_folders()) {
    const auto left =
        left_in(folder + "/memory.max", folder + "/memory.current", folder + "/memory.stat");
    available = std::min(available, left.value_or(available));
  }
  const std::string v1 = "/sys/fs/cgroup/memory/memory.";
  const auto left = left_in(v1 + "limit_in_bytes", v1 + "usage_in_bytes", v1 + "stat");
  return std::min(available, left.value_or(available));
}

}  // namespace resnet
