// The table that `resnet plan` prints.
#include <cstdio>

#include "resnet/plan/program.h"

namespace resnet {
namespace {

std::string mib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

void append_steps(std::string& text, const Program& program, const char* title,
                  const std::vector<Step>& steps) {
  if (steps.empty()) return;
  text += std::string(title) + " (" + std::to_string(steps.size()) + " steps)\n";
  for (const Step& step : steps) {
    const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
    const std::string op = describe(node.op);
    std::string tensors;
    if (!node.out.empty()) tensors = program.graph.value(node.out[0]).desc.str();
    char line[512];
    std::snprintf(line, sizeof line, "  %-24s %-16s %-16s %-40s %-32s %s\n", node.layer.c_str(),
                  name_of(node.op), name_of(node.pass), op.c_str(), tensors.c_str(),
                  step.kernel->impl().c_str());
    text += line;
  }
}

}  // namespace

std::string describe(const Program& program) {
  std::string text;
  for (const Input& input : program.graph.inputs) {
    const Value& value = program.graph.value(input.value);
    text += "input " + value.name + " " + value.desc.str() + "\n";
  }
  append_steps(text, program, "prepare: when weights changed", program.prepare);
  append_steps(text, program, "prologue: once per batch", program.prologue);
  append_steps(text, program, "forward", program.forward);
  append_steps(text, program, "backward", program.backward);
  append_steps(text, program, "statistics: once per batch", program.statistics);
  text += "arena " + mib(program.arena_bytes) + " (largest sum alive " + mib(program.live_bytes) +
          "), scratch " + mib(program.scratch_bytes) + ", derived weights " +
          mib(program.derived_bytes) + ", " + std::to_string(program.recomputed) +
          " tensors rebuilt in backward\n";
  return text;
}

}  // namespace resnet
