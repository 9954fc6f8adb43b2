// The table that `resnet plan` prints.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

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
          "), behind it for scratchpads " + mib(program.scratch_bytes) + ", derived weights " +
          mib(program.derived_bytes) + ", " + std::to_string(program.recomputed) +
          " tensors rebuilt in backward\n";
  return text;
}

std::string describe_largest(const Program& program, int count) {
  using Where = Placement::Where;
  const Graph& graph = program.graph;
  std::vector<size_t> values;  // largest first
  for (size_t v = 0; v < program.placement.size(); ++v) {
    const Where where = program.placement[v].where;
    if (where == Where::arena || where == Where::input) values.push_back(v);
  }
  std::stable_sort(values.begin(), values.end(), [&](size_t a, size_t b) {
    return program.placement[a].bytes > program.placement[b].bytes;
  });
  if (values.size() > static_cast<size_t>(count)) values.resize(static_cast<size_t>(count));

  std::string text;
  for (const size_t v : values) {
    const Value& value = graph.values[v];
    std::string origin = "input";
    for (const Node& node : graph.nodes) {
      const auto id = static_cast<ValueId>(v);
      if (std::find(node.out.begin(), node.out.end(), id) == node.out.end()) continue;
      origin = "layer '" + node.layer + "', " + name_of(node.op) + " " + name_of(node.pass);
      break;
    }
    text += "  " + mib(program.placement[v].bytes) + "  " + value.desc.str() + "  " + value.name +
            " (" + origin + ")\n";
  }
  return text;
}

}  // namespace resnet
