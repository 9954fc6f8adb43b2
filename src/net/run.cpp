// Running a Session: binding, shards, statistics.
#include <cmath>
#include <set>

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/base/half.h"

namespace resnet {

using Where = Placement::Where;

Tensor Net::Impl::tensor_of(Session& session, ValueId id, int shard) const {
  const Graph& graph = session.program.graph;
  const Value& value = graph.value(id);
  const Placement& place = session.program.placement[static_cast<size_t>(id)];
  switch (place.where) {
    case Where::none:
      return {.desc = value.desc};
    case Where::arena:
      return arena.view(value.desc, place.offset);
    case Where::persistent:
      return session.persistent.view(value.desc, place.offset);
    case Where::derived:
      return session.derived.at(id)->memory.view(value.desc);
    case Where::input: {
      const int index = session.input_index(id);
      return session.inputs[static_cast<size_t>(index)].memory.view(value.desc,
                                                                    shard * value.desc.bytes());
    }
    case Where::state:
      return state.view(value.desc, place.offset);
    case Where::metrics:
      return metrics.view(value.desc, place.offset);
    case Where::parameter:
      break;
  }
  if (value.kind == ValueKind::statistics) return store.statistics(value.name);
  const std::string& name = graph.parameters[static_cast<size_t>(value.parameter)].name();
  const int index = parameter_index.at(name);
  if (value.kind == ValueKind::weight_copy) return store.copy(index);
  return value.kind == ValueKind::gradient ? store.gradient(index) : store.weights(index);
}

// Makes room in a buffer whose contents nobody needs.
void Net::Impl::grow(Buffer& buffer, int64_t bytes) {
  if (buffer.bytes() >= bytes) return;
  const PlanningTime time(&planning_seconds);
  buffer = Buffer();  // before the larger one, so that never both are held
  buffer = backend->allocate(bytes);
}

void Net::Impl::bind(Session& session) {
  const Program& program = session.program;
  explaining(session.request, nullptr, [&] {
    grow(arena, program.arena_bytes + program.scratch_bytes);
    grow(metrics, program.metrics_count * size_of(options.dtype));
  });
  if (session.bound && session.bound_arena == arena.data() &&
      session.bound_metrics == metrics.data()) {
    return;
  }
  session.recordings.clear();
  session.batches_run.clear();
  const std::vector<const std::vector<Step>*> planned{&program.prepare, &program.prologue,
                                                      &program.forward, &program.backward,
                                                      &program.statistics};
  const auto bound = session.sections();
  for (size_t i = 0; i < planned.size(); ++i) {
    bound[i]->clear();
    for (const Step& step : *planned[i]) {
      const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
      BoundStep b{.node = step.node, .kernel = step.kernel.get()};
      if (step.kernel->scratch_bytes() > 0) b.scratch = arena.data() + step.scratch_offset;
      for (const ValueId v : node.in) b.in.push_back(tensor_of(session, v, 0));
      for (const ValueId v : node.out) b.out.push_back(tensor_of(session, v, 0));
      bound[i]->push_back(std::move(b));
    }
  }
  session.bound = true;
  session.bound_shard = 0;
  session.bound_arena = arena.data();
  session.bound_metrics = metrics.data();
}

// Tells the ops that draw random numbers where a shard begins.
void Net::Impl::set_clock(Session& session, int shard) {
  const Graph& graph = session.program.graph;
  if (graph.clock == kNoValue) return;
  const int64_t images = graph.value(graph.inputs.at(0).value).desc.shape[0];
  const double clock[] = {session.clock_seed,
                          session.clock_position + static_cast<double>(shard * images)};
  put(state.view(graph.value(graph.clock).desc), clock);
}

// Points the inputs at a shard's part of the batch.
void Net::Impl::bind_shard(Session& session, int shard) {
  const Graph& graph = session.program.graph;
  if (session.bound_shard == shard) return;
  for (auto* steps : session.sections()) {
    for (BoundStep& step : *steps) {
      const Node& node = graph.nodes[static_cast<size_t>(step.node)];
      for (size_t i = 0; i < node.in.size(); ++i) {
        if (graph.value(node.in[i]).kind == ValueKind::input)
          step.in[i] = tensor_of(session, node.in[i], shard);
      }
    }
  }
  session.bound_shard = shard;
}

// A failure names the layer; op and shapes are the backend's to tell.
void Net::Impl::run_step(const Session& session, const BoundStep& step) const {
  try {
    step.kernel->run({.in = step.in, .out = step.out, .scratch = step.scratch});
  } catch (const OutOfMemory&) {
    throw;
  } catch (const DeviceError& e) {
    const Node& node = session.program.graph.nodes[static_cast<size_t>(step.node)];
    throw DeviceError("layer '" + node.layer + "': " + e.what());
  }
}

// Runs them in order. With timing on, measures each.
void Net::Impl::run_steps(const Session& session, std::vector<BoundStep>& steps) const {
  std::vector<std::unique_ptr<Mark>> marks;
  if (timing) marks.push_back(backend->mark());
  for (BoundStep& step : steps) {
    run_step(session, step);
    if (timing) marks.push_back(backend->mark());
  }
  for (size_t i = 0; i + 1 < marks.size(); ++i) {
    steps[i].seconds = marks[i + 1]->seconds_since(*marks[i]);
  }
}

// Compiles and runs a kernel of no program.
void Net::Impl::run_kernel(const OpDesc& desc, std::span<const Tensor> in,
                           std::span<const Tensor> out) {
  const auto kernel = context.compile(desc);
  loose_kernels.insert(kernel);
  grow(scratch, kernel->scratch_bytes());
  kernel->run({.in = in, .out = out, .scratch = scratch.data()});
}

// Brings the session's derived values up to date; what another session has refreshed stays as it is.
void Net::Impl::refresh_derived(Session& session) {
  const Graph& graph = session.program.graph;
  std::set<ValueId> wanted;  // by a later step
  for (const auto& [value, shared] : session.derived) {
    if (shared->version != weights_version) wanted.insert(value);
  }
  std::vector<BoundStep*> needed;
  for (auto step = session.prepare.rbegin(); step != session.prepare.rend(); ++step) {
    const Node& node = graph.nodes[static_cast<size_t>(step->node)];
    if (std::none_of(node.out.begin(), node.out.end(),
                     [&](ValueId v) { return wanted.contains(v); })) {
      continue;
    }
    needed.push_back(&*step);
    for (const ValueId v : node.in) {
      if (!session.derived.contains(v)) wanted.insert(v);
    }
  }
  for (auto step = needed.rbegin(); step != needed.rend(); ++step) {
    const auto start = timing ? backend->mark() : nullptr;
    run_step(session, **step);
    if (start) (*step)->seconds = backend->mark()->seconds_since(*start);
  }
  mark_derived(session, weights_version);
}

void Net::Impl::mark_derived(Session& session, int64_t version) {
  for (const auto& [value, shared] : session.derived) shared->version = version;
  session.prepared_version = version;
}

Tensor Net::Impl::metrics_tensor(const Session& session) const {
  return metrics.view(
      {.shape = {session.program.metrics_count}, .dtype = options.dtype, .layout = Layout::nchw()});
}

// The metrics of a batch from those of its shards, one after the other: losses are parts of the batch's
// loss (their normaliser is the batch's), metrics are means over the shard.
std::vector<Metric> Net::Impl::collect_metrics(const Session& session,
                                               const std::vector<double>& values,
                                               int shards) const {
  const Program& program = session.program;
  std::vector<Metric> all;
  for (const Output& output : program.graph.outputs) {
    if (output.kind == Output::Kind::blob) continue;
    Metric m{.name = output.name, .kind = output.kind, .loss_weight = output.loss_weight};
    const int64_t offset = program.placement[static_cast<size_t>(output.value)].offset;
    for (int shard = 0; shard < shards; ++shard) {
      const auto at =
          static_cast<size_t>(shard * program.metrics_count + offset / size_of(options.dtype));
      const double value = values[at], weight = values[at + 1];
      if (output.kind == Output::Kind::loss) {
        m.value += value;
      } else if (weight > 0) {
        m.value = (m.value * m.weight + value * weight) / (m.weight + weight);
      }
      m.weight += weight;
    }
    all.push_back(std::move(m));
  }
  return all;
}

// Runs the prologue over all shards and leaves the whole batch's label counts where the steps read them.
void Net::Impl::sum_counts(Session& session, int begin, int end) {
  if (session.prologue.empty()) return;
  if (end - begin == 1 && exchange == nullptr) {
    bind_shard(session, begin);
    run_steps(session, session.prologue);
    return;
  }
  std::vector<double> sums(session.prologue.size(), 0.0);
  for (int shard = begin; shard < end; ++shard) {
    bind_shard(session, shard);
    run_steps(session, session.prologue);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += scalars(session.prologue[i].out[0])[0];
  }
  if (exchange != nullptr) {
    std::vector<float> counts(sums.begin(), sums.end());
    exchange->combine(counts);
    sums.assign(counts.begin(), counts.end());
  }
  for (size_t i = 0; i < sums.size(); ++i) {
    const Tensor& count = session.prologue[i].out[0];
    const auto value = static_cast<float>(sums[i]);
    put(count, count.desc.dtype == DType::f64 ? static_cast<const void*>(&sums[i]) : &value);
  }
}

void Net::Impl::add_into(const Tensor& dst, const Tensor& src) {
  if (dst.desc.count() == 0) return;
  const Tensor in[] = {dst, src};
  run_kernel({.op = Eltwise{}, .in = {dst.desc, src.desc}, .out = {dst.desc}, .accumulate = {}}, in,
             std::span(&dst, 1));
}

void Net::Impl::scale(const Tensor& tensor, double factor) {
  if (tensor.desc.count() == 0 || factor == 1.0) return;
  run_kernel({.op = Eltwise{.coeff = {factor}},
              .in = {tensor.desc},
              .out = {tensor.desc},
              .accumulate = {}},
             std::span(&tensor, 1), std::span(&tensor, 1));
}

// Adds the partial sums of a shard to the binary tree over shard indices: level l holds the sum of 2^l
// neighbours that waits for its sibling. The order of additions depends on indices only.
void Net::Impl::push_partial(int shard) {
  const Tensor current = store.partial();
  size_t level = 0;
  for (int index = shard; (index & 1) != 0; index >>= 1, ++level) {
    if (level >= tree.size() || tree[level].data() == nullptr) break;
    add_into(current, tree[level].view(current.desc));
    tree[level] = Buffer();
  }
  if (tree.size() <= level) tree.resize(level + 1);
  tree[level] = backend->allocate(current.desc.bytes());
  backend->copy(tree[level].view(current.desc), current);
}

void Net::Impl::combine_partials() {
  const Tensor total = store.partial();
  bool first = true;
  for (Buffer& buffer : tree) {
    if (buffer.data() == nullptr) continue;
    const Tensor partial = buffer.view(total.desc);
    if (first) {
      backend->copy(total, partial);
    } else {
      add_into(total, partial);
    }
    first = false;
  }
  tree.clear();
}

std::pair<int, int> Net::Impl::shards_here(const Session& session) const {
  const bool partly = exchange != nullptr && session.request.phase == TRAIN;
  return partly ? std::pair{first_shard, last_shard} : std::pair{0, session.program.options.shards};
}

void Net::Impl::exchange_partials() {
  const Tensor partial = store.partial();
  std::vector<float> values(static_cast<size_t>(partial.desc.count()));
  fetch(values.data(), partial);
  exchange->combine(values);
  put(partial, values.data());
}

void Net::Impl::enqueue(Session& session, bool backward, bool add,
                        const std::function<void(int)>& before,
                        const std::function<void(int)>& after) {
  const auto [begin, end] = shards_here(session);
  if (session.prepared_version != weights_version) refresh_derived(session);
  if (backward && add) {
    const Tensor gradients = store.gradients();
    grow(accumulated, gradients.desc.bytes());
    backend->copy(accumulated.view(gradients.desc), gradients);
  }
  sum_counts(session, begin, end);
  for (int shard = begin; shard < end; ++shard) {
    bind_shard(session, shard);
    before(shard);
    run_steps(session, session.forward);
    if (backward) run_steps(session, session.backward);
    after(shard);
    if (end - begin > 1) push_partial(shard);
  }
  if (end - begin > 1) combine_partials();
  if (exchange != nullptr && session.request.phase == TRAIN) exchange_partials();
  if (backward && add) add_into(store.gradients(), accumulated.view(store.gradients().desc));
  if (!session.statistics.empty()) {
    scale(store.all_statistics(), 1.0 / session.program.options.shards);
    run_steps(session, session.statistics);
    ++weights_version;
  }
}

std::vector<Metric> Net::Impl::run(Session& session, bool backward, bool add) {
  bind(session);
  std::vector<double> values;
  int shards = 0;
  explaining(session.request, nullptr, [&] {
    upload_inputs(session);
    convert_inputs(session);
    enqueue(
        session, backward, add, [&](int shard) { set_clock(session, shard); },
        [&](int) {
          const std::vector<double> of_shard = scalars(metrics_tensor(session));
          values.insert(values.end(), of_shard.begin(), of_shard.end());
          ++shards;
        });
  });
  return collect_metrics(session, values, shards);
}

std::vector<Metric> Net::forward(Session& session) { return impl_->run(session, false, false); }

std::vector<Metric> Net::forward_backward(Session& session, bool add) {
  return impl_->run(session, true, add);
}

void Net::set_exchange(ShardExchange* exchange, int begin, int end) {
  if (exchange != nullptr && impl_->options.dtype != DType::f32) {
    throw ConfigError("shards are exchanged in float32 only");
  }
  impl_->exchange = exchange;
  impl_->first_shard = begin;
  impl_->last_shard = end;
}

namespace {

double number(double value) { return value; }
template <class T>
double number(T value) {
  return to_float(value);
}

template <class T>
bool all_finite(const T* data, int64_t bytes) {
  const int64_t count = bytes / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(number(data[i]))) return false;
  }
  return true;
}

}  // namespace

// Runs again step by step and looks at each result; BatchNorm's statistics stay as they are.
std::string Net::first_non_finite(Session& session) {
  Impl& s = *impl_;
  const auto finite = [&](const Tensor& tensor) {
    const int64_t bytes = s.backend->bytes(tensor.desc);
    const DType type = tensor.desc.dtype;
    if (tensor.data == nullptr || type == DType::u8 || type == DType::i32 || bytes == 0)
      return true;
    // Storage as flat bytes, whatever the layout.
    const TensorDesc flat{.shape = {bytes}, .dtype = DType::u8, .layout = Layout::nchw()};
    const Buffer host = host_buffer(bytes);
    const Tensor values = host.view(flat);
    s.backend->copy(values, Tensor{.desc = flat, .data = tensor.data, .where = tensor.where});
    s.backend->synchronize();
    switch (type) {
      case DType::f64:
        return all_finite(values.as<double>(), bytes);
      case DType::bf16:
        return all_finite(values.as<bf16>(), bytes);
      case DType::f16:
        return all_finite(values.as<f16>(), bytes);
      default:
        return all_finite(values.as<float>(), bytes);
    }
  };
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    if (!finite(s.store.weights(static_cast<int>(i)))) {
      return "the " + s.parameters[i].role + " of layer '" + s.parameters[i].layer + "'";
    }
  }
  s.bind(session);
  s.upload_inputs(session);
  s.convert_inputs(session);
  for (int shard = 0; shard < session.program.options.shards; ++shard) {
    s.bind_shard(session, shard);
    s.set_clock(session, shard);
    for (auto* steps : {&session.prepare, &session.forward, &session.backward}) {
      for (BoundStep& step : *steps) {
        s.run_step(session, step);
        if (std::all_of(step.out.begin(), step.out.end(), finite)) continue;
        const Node& node = session.program.graph.nodes[static_cast<size_t>(step.node)];
        return "layer '" + node.layer + "' (" + name_of(node.op) + " " + name_of(node.pass) + ")";
      }
    }
  }
  return "";
}

}  // namespace resnet
