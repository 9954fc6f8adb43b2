#include "report.h"

#include <sys/resource.h>

#include <cstdio>
#include <fstream>
#include <string_view>

namespace resnet::cli {

// Not ru_maxrss, which a program inherits from the one that started it.
int64_t peak_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    constexpr std::string_view kPeak = "VmHWM:";
    if (line.starts_with(kPeak)) return std::stoll(line.substr(kPeak.size())) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

int64_t planned_bytes(const Net& net, const Session&) { return net.planned_bytes(); }

int64_t parameter_count(const Net& net) {
  int64_t count = 0;
  for (const Parameter& parameter : net.parameters()) {
    if (parameter.learnable) count += parameter.shape.count();
  }
  return count;
}

std::string bytes_text(int64_t bytes) {
  const char* unit = "KiB";
  double value = static_cast<double>(bytes) / 1024;
  for (const char* larger : {"MiB", "GiB", "TiB"}) {
    if (value < 1024) break;
    value /= 1024;
    unit = larger;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, unit);
  return text;
}

}  // namespace resnet::cli
