#include "report.h"

#include <sys/resource.h>

#include <cstdio>

namespace resnet::cli {

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

int64_t planned_bytes(const Net& net, const Session& session) {
  const Program& program = net.program(session);
  int64_t bytes = net.parameter_bytes() + program.arena_bytes + program.scratch_bytes +
                  program.persistent_bytes + program.derived_bytes;
  for (const Input& input : program.graph.inputs) {
    bytes += program.graph.value(input.value).desc.bytes() * program.options.shards;
  }
  return bytes;
}

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
