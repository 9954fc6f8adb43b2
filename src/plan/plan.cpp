// plan(): the passes in order, then kernels and placements.
#include <algorithm>
#include <numeric>

#include "plan/edit.h"
#include "plan/memory.h"
#include "plan/passes.h"
#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"
#include "resnet/plan/program.h"

namespace resnet {

std::shared_ptr<const Kernel> PlanContext::compile(const OpDesc& desc) {
  auto& bucket = kernels[desc.str()];
  std::erase_if(bucket, [](const auto& entry) { return entry.second.expired(); });
  for (const auto& [known, kernel] : bucket) {
    if (known == desc) return kernel.lock();
  }
  std::shared_ptr<const Kernel> kernel = backend->compile(desc);
  bucket.emplace_back(desc, kernel);
  return kernel;
}

namespace {

using memory_plan::Interval;
using Where = Placement::Where;

void apply_shards(Graph& graph, int shards) {
  for (Node& node : graph.nodes) {
    if (auto* loss = std::get_if<SoftmaxLoss>(&node.op)) loss->normalizer_scale *= shards;
  }
}

void check_support(const Graph& graph, const Backend& backend) {
  std::string errors;
  for (const Node& node : graph.nodes) {
    const Support support = backend.supports(plan_edit::op_desc(graph, node));
    if (support.ok) continue;
    if (!errors.empty()) errors += "\n";
    errors += "layer '" + node.layer + "': " + name_of(node.op) + " " + name_of(node.pass) +
              " is not supported by the " + backend.name() + " backend: " + support.reason;
  }
  if (!errors.empty()) throw DeviceError(errors);
}

// Where every value lives, and the arena's plan. Values that share memory (in place, accumulated) form one
// group, represented by its first member.
class Placer {
 public:
  Placer(const Graph& graph, const Backend& backend, const std::set<ValueId>& keep, bool reuse)
      : graph_(graph), backend_(backend), keep_(keep), reuse_(reuse), group_(graph.values.size()) {
    std::iota(group_.begin(), group_.end(), 0);
  }

  void run(Program& program) {
    find_lifetimes();
    find_metrics();
    share_memory();
    std::vector<Interval> intervals;
    std::vector<int> interval_of(graph_.values.size(), -1);
    program.placement.assign(graph_.values.size(), {});
    program.persistent_bytes = 0;
    program.derived_bytes = 0;
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      Placement& place = program.placement[v];
      place.where = where(static_cast<ValueId>(v));
      if (place.where == Where::none || place.where == Where::parameter) continue;
      place.bytes = backend_.bytes(graph_.values[v].desc);
      place.begin = begin_[v];
      place.end = end_[v];
      if (place.where == Where::metrics) {
        place.offset = metrics_.at(static_cast<ValueId>(v)) * size_of(graph_.values[v].desc.dtype);
      } else if (place.where == Where::state) {
        const bool clock = static_cast<ValueId>(v) == graph_.clock;
        place.offset = (clock ? train_state::kSeed : train_state::kLossScale) * size_of(DType::f64);
      } else if (place.where == Where::derived) {
        program.derived_bytes += place.bytes;
      } else if (place.where == Where::persistent) {
        place.offset = program.persistent_bytes;
        program.persistent_bytes += (place.bytes + 63) / 64 * 64;
      } else if (place.where == Where::arena) {
        const auto root = static_cast<size_t>(find(static_cast<ValueId>(v)));
        if (interval_of[root] < 0) {
          interval_of[root] = static_cast<int>(intervals.size());
          intervals.push_back({.begin = begin_[v], .end = end_[v], .bytes = place.bytes});
        }
        Interval& interval = intervals[static_cast<size_t>(interval_of[root])];
        interval.begin = std::min(interval.begin, begin_[v]);
        interval.end = std::max(interval.end, end_[v]);
        interval.bytes = std::max(interval.bytes, place.bytes);
      }
    }
    program.metrics_count = metrics_count_;
    program.live_bytes = memory_plan::peak_live_bytes(intervals);
    program.arena_bytes =
        reuse_ ? memory_plan::place(intervals) : memory_plan::place_apart(intervals);
    for (size_t v = 0; v < graph_.values.size(); ++v) {
      if (program.placement[v].where != Where::arena) continue;
      const auto root = static_cast<size_t>(find(static_cast<ValueId>(v)));
      program.placement[v].offset = intervals[static_cast<size_t>(interval_of[root])].offset;
    }
  }

 private:
  void find_lifetimes() {
    const int steps = static_cast<int>(graph_.nodes.size());
    begin_.assign(graph_.values.size(), steps);
    end_.assign(graph_.values.size(), -1);
    outlives_.assign(graph_.values.size(), false);
    const auto touch = [&](ValueId v, int step) {
      begin_[static_cast<size_t>(v)] = std::min(begin_[static_cast<size_t>(v)], step);
      end_[static_cast<size_t>(v)] = std::max(end_[static_cast<size_t>(v)], step);
    };
    written_.assign(graph_.values.size(), Section::forward);
    for (int i = 0; i < steps; ++i) {
      const Node& node = graph_.nodes[static_cast<size_t>(i)];
      for (const ValueId v : node.in) {
        touch(v, i);
        // Prepare and prologue do not run with every shard: what others read of them must stay.
        const Section from = written_[static_cast<size_t>(v)];
        if (from <= Section::prologue && node.section != from)
          outlives_[static_cast<size_t>(v)] = true;
      }
      for (const ValueId v : node.accumulate_from) {
        if (v != kNoValue) touch(v, i);
      }
      for (const ValueId v : node.out) {
        touch(v, i);
        written_[static_cast<size_t>(v)] = node.section;
      }
    }
    for (const ValueId v : keep_) touch(v, steps);
  }

  void find_metrics() {
    for (const Output& output : graph_.outputs) {
      if (output.kind == Output::Kind::blob || metrics_.contains(output.value)) continue;
      metrics_[output.value] = metrics_count_;
      metrics_count_ += graph_.value(output.value).desc.count();
    }
  }

  Where where(ValueId v) const {
    const Value& value = graph_.value(v);
    if (end_[static_cast<size_t>(v)] < 0) return Where::none;
    if (v == graph_.clock || v == graph_.loss_scale) return Where::state;
    if (metrics_.contains(v)) return Where::metrics;
    switch (value.kind) {
      case ValueKind::input:
        return Where::input;
      case ValueKind::weight:
      case ValueKind::weight_copy:
      case ValueKind::state:
      case ValueKind::gradient:
      case ValueKind::statistics:
        return Where::parameter;
      case ValueKind::activation:
        if (!outlives_[static_cast<size_t>(v)]) return Where::arena;
        return written_[static_cast<size_t>(v)] == Section::prepare ? Where::derived
                                                                    : Where::persistent;
    }
    throw InternalError("unknown value kind");
  }

  ValueId find(ValueId v) {
    while (group_[static_cast<size_t>(v)] != v) v = group_[static_cast<size_t>(v)];
    return v;
  }

  bool in_arena(ValueId v) const { return where(v) == Where::arena; }

  // Accumulation must share; in-place pairs may, when the input dies at the step that writes the output.
  void share_memory() {
    group_end_ = end_;
    for (int i = 0; i < static_cast<int>(graph_.nodes.size()); ++i) {
      const Node& node = graph_.nodes[static_cast<size_t>(i)];
      std::vector<bool> taken(node.out.size(), false);
      for (size_t o = 0; o < node.accumulate_from.size(); ++o) {
        if (node.accumulate_from[o] == kNoValue) continue;
        join(node.accumulate_from[o], node.out[o]);
        taken[o] = true;
      }
      if (!reuse_) continue;
      const Support support = backend_.supports(plan_edit::op_desc(graph_, node));
      std::set<ValueId> used;
      for (const auto& [o, in] : support.in_place) {
        const ValueId dst = node.out[static_cast<size_t>(o)];
        const ValueId src = node.in[static_cast<size_t>(in)];
        if (taken[static_cast<size_t>(o)] || !used.insert(src).second) continue;
        const bool dies = group_end_[static_cast<size_t>(find(src))] == i;
        const bool once = std::count(node.in.begin(), node.in.end(), src) == 1;
        const bool same = graph_.value(src).desc == graph_.value(dst).desc;
        if (!in_arena(src) || !in_arena(dst) || !dies || !once || !same) continue;
        join(src, dst);
        taken[static_cast<size_t>(o)] = true;
      }
    }
  }

  void join(ValueId from, ValueId to) {
    const ValueId root = find(from);
    group_[static_cast<size_t>(find(to))] = root;
    group_end_[static_cast<size_t>(root)] =
        std::max(group_end_[static_cast<size_t>(root)], end_[static_cast<size_t>(to)]);
  }

  const Graph& graph_;
  const Backend& backend_;
  const std::set<ValueId>& keep_;
  bool reuse_;
  std::vector<ValueId> group_;
  std::vector<int> begin_, end_, group_end_;
  std::vector<bool> outlives_;
  std::vector<Section> written_;        // where each value is written
  std::map<ValueId, int64_t> metrics_;  // losses and metrics: elements before them
  int64_t metrics_count_ = 0;
};

void place_values(Program& program, const Backend& backend, const std::set<ValueId>& keep) {
  Placer(program.graph, backend, keep, program.options.reuse).run(program);
}

// Under a budget that the arena exceeds, weights are copied to other layouts where they are needed, and as few
// BatchNorm outputs are rebuilt as bring the arena under it: the earliest first, since those are held longest.
void fit_budget(Program& program, const Backend& backend, const std::set<ValueId>& keep) {
  const int64_t budget = program.options.memory_budget_bytes;
  if (budget <= 0 || program.arena_bytes <= budget) return;
  plan_passes::copy_weights_late(program.graph);
  plan_passes::eliminate_dead(program.graph, keep);
  const Graph original = program.graph;
  const std::vector<int> candidates = plan_passes::recompute_candidates(original, keep);
  const auto attempt = [&](size_t count) {
    program.graph = original;
    plan_passes::recompute(
        program.graph,
        {candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count)});
    program.recomputed = static_cast<int>(count);
    place_values(program, backend, keep);
    return program.arena_bytes <= budget;
  };
  if (attempt(0)) return;
  size_t low = 0;
  size_t high = candidates.size();
  if (!attempt(high)) return;  // as small as it gets; the caller prints planned bytes
  while (low + 1 < high) {
    const size_t middle = (low + high) / 2;
    (attempt(middle) ? high : low) = middle;
  }
  attempt(high);
}

// The recipes of all derived values: the steps that make them, down to the parameters' names.
void write_recipes(Program& program) {
  const Graph& graph = program.graph;
  std::map<ValueId, std::string> made;
  for (const Node& node : graph.nodes) {
    if (node.section != Section::prepare) continue;
    std::string recipe = plan_edit::op_desc(graph, node).str() + " of (";
    for (const ValueId v : node.in) {
      const Value& value = graph.value(v);
      recipe += value.parameter < 0 ? made.at(v)
                                    : graph.parameters[static_cast<size_t>(value.parameter)].name();
      recipe += ";";
    }
    for (size_t i = 0; i < node.out.size(); ++i) {
      made[node.out[i]] = recipe + ")#" + std::to_string(i);
    }
  }
  for (const auto& [value, recipe] : made) {
    if (program.placement[static_cast<size_t>(value)].where == Where::derived) {
      program.recipes[value] = recipe;
    }
  }
}

// Compiles a node; a failure names the layer.
std::shared_ptr<const Kernel> compile(const Graph& graph, const Node& node, PlanContext& context) {
  try {
    return context.compile(plan_edit::op_desc(graph, node));
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError& e) {
    throw DeviceError("layer '" + node.layer + "': " + e.what());
  }
}

void compile_steps(Program& program, PlanContext& context) {
  for (size_t i = 0; i < program.graph.nodes.size(); ++i) {
    const Node& node = program.graph.nodes[i];
    Step step{.node = static_cast<int>(i), .kernel = compile(program.graph, node, context)};
    switch (node.section) {
      case Section::prepare:
        program.prepare.push_back(std::move(step));
        break;
      case Section::prologue:
        program.prologue.push_back(std::move(step));
        break;
      case Section::forward:
        program.forward.push_back(std::move(step));
        break;
      case Section::backward:
        program.backward.push_back(std::move(step));
        break;
      case Section::statistics:
        program.statistics.push_back(std::move(step));
        break;
    }
  }
}

// Scratchpads lie where no value lives during their step, or behind the values.
void place_scratch(Program& program) {
  std::vector<Interval> values, scratch;
  for (const Placement& place : program.placement) {
    if (place.where != Where::arena) continue;
    values.push_back(
        {.begin = place.begin, .end = place.end, .bytes = place.bytes, .offset = place.offset});
  }
  std::vector<Step*> steps;
  for (auto* section : {&program.prepare, &program.prologue, &program.forward, &program.backward,
                        &program.statistics}) {
    for (Step& step : *section) {
      if (step.kernel->scratch_bytes() > 0) steps.push_back(&step);
    }
  }
  std::ranges::sort(steps, {}, &Step::node);
  for (const Step* step : steps) {
    scratch.push_back(
        {.begin = step->node, .end = step->node, .bytes = step->kernel->scratch_bytes()});
  }
  if (program.options.reuse) {
    program.scratch_bytes = memory_plan::place_between(values, program.arena_bytes, scratch);
  } else {
    program.scratch_bytes = memory_plan::place_apart(scratch);
    for (Interval& interval : scratch) interval.offset += program.arena_bytes;
  }
  for (size_t i = 0; i < steps.size(); ++i) steps[i]->scratch_offset = scratch[i].offset;
}

}  // namespace

Program plan_memory(Graph graph, const PlanOptions& options, PlanContext& context) {
  namespace passes = plan_passes;
  const Backend& backend = *context.backend;
  std::set<ValueId> keep = passes::protected_values(graph, options.keep);
  apply_shards(graph, options.shards);
  passes::assign_sections(graph);
  if (options.fuse) {
    passes::merge_batch_norm_scale(graph, keep, backend);
    passes::fuse_batch_norm(graph, keep, backend, options.backward);
    if (!options.backward) {
      passes::fuse_convolution(graph, keep, backend, options.prepare_weights);
    }
    passes::fold_shortcuts(graph, keep, backend);
  }
  passes::lower_precision(graph, options.math, options.backward);
  if (options.backward) {
    passes::differentiate(graph, options.input_gradients);
    for (const auto& [name, value] : graph.blobs) {
      if (name.starts_with("diff:")) keep.insert(value);
    }
  }
  passes::eliminate_dead(graph, keep);
  if (options.fuse) passes::accumulate_sums(graph, keep, backend);
  check_support(graph, backend);
  passes::choose_layouts(graph, context, options.layouts);
  if (backend.memory() == MemoryKind::device) passes::adopt_inputs(graph, keep);

  Program program{.graph = std::move(graph), .options = options};
  place_values(program, backend, keep);
  fit_budget(program, backend, keep);
  write_recipes(program);
  return program;
}

Program plan(Graph graph, const PlanOptions& options, PlanContext& context) {
  Program program = plan_memory(std::move(graph), options, context);
  compile_steps(program, context);
  place_scratch(program);
  return program;
}

}  // namespace resnet
