#include "support.h"

#include <map>
#include <set>
#include <vector>

#include "cases.h"
#include "runner.h"

namespace resnet::testing {
namespace {

// What one backend does with all cases of one pass of one op.
struct Cell {
  int cases = 0, supported = 0, row_major = 0;
  std::map<size_t, int> outputs;       // number of a real output -> cases that have it
  std::map<size_t, int> accumulating;  // and those that add into it
  std::vector<std::string> refusals;   // "case: reason"
};

void count(Cell& cell, Backend& backend, const Case& c, Pass pass) {
  ++cell.cases;
  Runner runner(backend, c);
  const Support support = runner.supports(pass);
  if (!support.ok) {
    cell.refusals.push_back(c.name + ": " + support.reason);
    return;
  }
  ++cell.supported;
  cell.row_major += Runner(backend, c, DType::f32, Start::plain).supports(pass).ok;
  const OpDesc desc = runner.describe(pass);
  for (size_t i = 0; i < desc.out.size(); ++i) {
    if (desc.out[i].dtype != DType::f32) continue;
    ++cell.outputs[i];
    cell.accumulating[i] += runner.supports(pass, static_cast<int>(i)).ok;
  }
}

std::string share_text(int part, int whole) {
  if (part == whole) return "yes";
  return part == 0 ? "no" : std::to_string(part) + " of " + std::to_string(whole);
}

// "yes", or "0: yes, 1: 3 of 4" where the outputs of a pass differ.
std::string accumulation_text(const Cell& cell) {
  std::set<std::string> different;
  std::string text;
  for (const auto& [i, cases] : cell.outputs) {
    const std::string share = share_text(cell.accumulating.at(i), cases);
    different.insert(share);
    text += (text.empty() ? "" : ", ") + std::to_string(i) + ": " + share;
  }
  if (different.empty()) return "-";
  return different.size() == 1 ? *different.begin() : text;
}

// The columns of one backend.
std::string cell_text(const Cell& cell) {
  return share_text(cell.supported, cell.cases) + " | " + share_text(cell.row_major, cell.cases) +
         " | " + accumulation_text(cell);
}

}  // namespace

std::string support_markdown() {
  // By op in the order of the variant, then by pass.
  std::map<std::pair<size_t, Pass>, std::map<std::string, Cell>> table;
  std::map<size_t, std::string> names;
  std::string header = "| op | pass | cases |", rule = "|---|---|---|";
  for (const std::string& name : backend_names()) {
    const std::unique_ptr<Backend> backend = make_backend(name);
    header += " " + name + " | row-major | adds |";
    rule += "---|---|---|";
    for (const Case& c : small_cases()) {
      names[c.op.index()] = name_of(c.op);
      for (Pass pass : Runner::passes(c)) {
        count(table[{c.op.index(), pass}][name], *backend, c, pass);
      }
    }
  }
  std::string text =
      "# Ops and backends\n\n"
      "Written by `ops_test` with RESNET_UPDATE=1, which otherwise compares. Cases are the small "
      "ones\n"
      "of `tests/ops`, in float32. The column of a backend says how many it computes in the "
      "layouts\n"
      "that it prefers, `row-major` how many when all activations are to stay row-major, `adds` "
      "how\n"
      "many can add into an output (by its number where outputs differ) instead of overwriting "
      "it;\n"
      "where a backend cannot, the planner adds a step.\n\n" +
      header + "\n" + rule + "\n";
  std::string refusals;
  for (const auto& [key, cells] : table) {
    text += "| " + names[key.first] + " | " + name_of(key.second) + " | " +
            std::to_string(cells.begin()->second.cases) + " |";
    for (const auto& [backend, cell] : cells) {
      text += " " + cell_text(cell) + " |";
      for (const std::string& refusal : cell.refusals) {
        refusals += "- " + backend + ", " + name_of(key.second) + " of " + refusal + "\n";
      }
    }
    text += "\n";
  }
  return text + "\n## Refusals\n\n" + (refusals.empty() ? "None.\n" : refusals);
}

}  // namespace resnet::testing
