// Running a Session: binding, shards, statistics, and the update.
#include <cmath>
#include <set>

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/base/parallel.h"

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
      return session.inputs[static_cast<size_t>(index)].view(value.desc,
                                                             shard * value.desc.bytes());
    }
    case Where::parameter:
      break;
  }
  if (value.kind == ValueKind::statistics) return store.statistics(value.name);
  const std::string& name = graph.parameters[static_cast<size_t>(value.parameter)].name();
  const int index = parameter_index.at(name);
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
  grow(arena, program.arena_bytes);
  grow(scratch, program.scratch_bytes);
  if (session.bound && session.bound_arena == arena.data()) return;
  const std::vector<const std::vector<Step>*> planned{&program.prepare, &program.prologue,
                                                      &program.forward, &program.backward,
                                                      &program.statistics};
  const auto bound = session.sections();
  for (size_t i = 0; i < planned.size(); ++i) {
    bound[i]->clear();
    for (const Step& step : *planned[i]) {
      const Node& node = program.graph.nodes[static_cast<size_t>(step.node)];
      BoundStep b{.node = step.node, .kernel = step.kernel.get()};
      for (const ValueId v : node.in) b.in.push_back(tensor_of(session, v, 0));
      for (const ValueId v : node.out) b.out.push_back(tensor_of(session, v, 0));
      bound[i]->push_back(std::move(b));
    }
  }
  session.bound = true;
  session.bound_shard = 0;
  session.bound_arena = arena.data();
}

// Points the inputs at a shard's part of the batch and sets its clock.
void Net::Impl::bind_shard(Session& session, int shard) {
  const Graph& graph = session.program.graph;
  if (graph.clock != kNoValue &&
      session.program.placement[static_cast<size_t>(graph.clock)].where != Where::none) {
    auto* clock = tensor_of(session, graph.clock, shard).as<double>();
    const int64_t images = graph.value(graph.inputs.at(0).value).desc.shape[0];
    clock[0] = session.clock_seed;
    clock[1] = session.clock_position + static_cast<double>(shard * images);
  }
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

void Net::Impl::run_step(BoundStep& step) const {
  using Clock = std::chrono::steady_clock;
  const auto start = timing ? Clock::now() : Clock::time_point{};
  step.kernel->run({.in = step.in, .out = step.out, .scratch = scratch.data()});
  if (timing) step.seconds = std::chrono::duration<double>(Clock::now() - start).count();
}

void Net::Impl::run_steps(std::vector<BoundStep>& steps) const {
  for (BoundStep& step : steps) run_step(step);
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
  for (auto step = needed.rbegin(); step != needed.rend(); ++step) run_step(**step);
  for (const auto& [value, shared] : session.derived) shared->version = weights_version;
  session.prepared_version = weights_version;
}

namespace {

double scalar(const Tensor& tensor, int64_t i) {
  return tensor.desc.dtype == DType::f64 ? tensor.as<double>()[i]
                                         : static_cast<double>(tensor.as<float>()[i]);
}

void set_scalar(const Tensor& tensor, double value) {
  if (tensor.desc.dtype == DType::f64) {
    *tensor.as<double>() = value;
  } else {
    *tensor.as<float>() = static_cast<float>(value);
  }
}

}  // namespace

// Adds a shard's metrics: losses are parts of the batch's loss (their normaliser is the batch's), metrics are
// means over the shard.
void Net::Impl::add_metrics(Session& session, std::vector<Metric>& metrics) const {
  size_t next = 0;
  for (const Output& output : session.program.graph.outputs) {
    if (output.kind == Output::Kind::blob) continue;
    const Tensor pair = tensor_of(session, output.value, 0);
    if (next == metrics.size()) {
      metrics.push_back(
          {.name = output.name, .kind = output.kind, .loss_weight = output.loss_weight});
    }
    Metric& m = metrics[next++];
    const double value = scalar(pair, 0);
    const double weight = scalar(pair, 1);
    if (output.kind == Output::Kind::loss) {
      m.value += value;
    } else if (weight > 0) {
      m.value = (m.value * m.weight + value * weight) / (m.weight + weight);
    }
    m.weight += weight;
  }
}

// Runs the prologue over all shards and leaves the whole batch's label counts where the steps read them.
void Net::Impl::sum_counts(Session& session, int begin, int end) {
  if (session.prologue.empty()) return;
  std::vector<double> sums(session.prologue.size(), 0.0);
  for (int shard = begin; shard < end; ++shard) {
    bind_shard(session, shard);
    run_steps(session.prologue);
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += scalar(session.prologue[i].out[0], 0);
  }
  if (exchange != nullptr) {
    std::vector<float> counts(sums.begin(), sums.end());
    exchange->combine(counts);
    sums.assign(counts.begin(), counts.end());
  }
  for (size_t i = 0; i < sums.size(); ++i) set_scalar(session.prologue[i].out[0], sums[i]);
}

void Net::Impl::add_into(const Tensor& dst, const Tensor& src) {
  if (dst.desc.count() == 0) return;
  const auto kernel = context.compile({.op = Eltwise{},
                                       .pass = Pass::forward,
                                       .in = {dst.desc, src.desc},
                                       .out = {dst.desc},
                                       .accumulate = {}});
  const Tensor in[] = {dst, src};
  kernel->run({.in = in, .out = std::span(&dst, 1)});
}

void Net::Impl::scale(const Tensor& tensor, double factor) {
  if (tensor.desc.count() == 0 || factor == 1.0) return;
  const auto kernel = context.compile({.op = Eltwise{.coeff = {factor}},
                                       .pass = Pass::forward,
                                       .in = {tensor.desc},
                                       .out = {tensor.desc},
                                       .accumulate = {}});
  kernel->run({.in = std::span(&tensor, 1), .out = std::span(&tensor, 1)});
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

std::vector<Metric> Net::Impl::run(Session& session, bool backward, bool add) {
  bind(session);
  const int shards = session.program.options.shards;
  const bool partly = exchange != nullptr && session.phase == TRAIN;
  const int begin = partly ? first_shard : 0;
  const int end = partly ? last_shard : shards;
  if (session.prepared_version != weights_version) {
    refresh_derived(session);
  }
  if (backward && add) {
    const Tensor gradients = store.gradients();
    if (accumulated.bytes() < gradients.desc.bytes())
      accumulated = backend->allocate(gradients.desc.bytes());
    backend->copy(accumulated.view(gradients.desc), gradients);
  }
  sum_counts(session, begin, end);
  std::vector<Metric> metrics;
  for (int shard = begin; shard < end; ++shard) {
    bind_shard(session, shard);
    run_steps(session.forward);
    if (backward) run_steps(session.backward);
    add_metrics(session, metrics);
    if (end - begin > 1) push_partial(shard);
  }
  if (end - begin > 1) combine_partials();
  if (partly) {
    const Tensor partial = store.partial();
    exchange->combine({partial.as<float>(), static_cast<size_t>(partial.desc.count())});
  }
  if (backward && add) add_into(store.gradients(), accumulated.view(store.gradients().desc));
  if (!session.statistics.empty()) {
    scale(store.all_statistics(), 1.0 / shards);
    run_steps(session.statistics);
    ++weights_version;
  }
  return metrics;
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

double Net::gradient_norm() {
  impl_->ensure_store();
  const Tensor gradients = impl_->store.gradients();
  const int64_t count = gradients.desc.count();
  // Fixed blocks, summed in order: the result does not depend on the number of threads.
  constexpr int64_t kBlock = 1 << 14;
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  std::vector<double> sums(static_cast<size_t>(blocks), 0.0);
  parallel_for(blocks, 4, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b) {
      double sum = 0;
      for (int64_t i = b * kBlock; i < std::min(count, (b + 1) * kBlock); ++i) {
        const double g = scalar(gradients, i);
        sum += g * g;
      }
      sums[static_cast<size_t>(b)] = sum;
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

void Net::update(const Update& u) {
  Impl& s = *impl_;
  s.ensure_store();
  double gradient_scale = 1.0 / u.iter_size;
  if (u.clip_gradients >= 0) {
    const double norm = gradient_norm();
    if (norm > u.clip_gradients) gradient_scale *= u.clip_gradients / norm;
  }
  const TensorDesc hyper_desc{.shape = {4}, .dtype = DType::f64, .layout = Layout::nchw()};
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    const Parameter& p = s.parameters[i];
    if (!p.learnable || p.lr_mult == 0) continue;
    const int index = static_cast<int>(i);
    Buffer& settings = s.hyper[index];
    if (settings.data() == nullptr) settings = s.backend->allocate(hyper_desc.bytes());
    const Tensor hyper = settings.view(hyper_desc);
    const double values[] = {u.rate * p.lr_mult, u.weight_decay * p.decay_mult, u.momentum,
                             gradient_scale};
    std::copy_n(values, 4, hyper.as<double>());
    const Tensor in[] = {s.store.gradient(index), hyper};
    const Tensor out[] = {s.store.weights(index), s.store.history(index)};
    const auto kernel = s.context.compile({.op = SgdUpdate{.nesterov = u.nesterov, .l1 = u.l1},
                                           .pass = Pass::forward,
                                           .in = {in[0].desc, in[1].desc},
                                           .out = {out[0].desc, out[1].desc},
                                           .accumulate = {}});
    kernel->run({.in = in, .out = out});
  }
  ++s.weights_version;
}

namespace {

template <class T>
bool all_finite(const T* data, int64_t bytes) {
  const int64_t count = bytes / static_cast<int64_t>(sizeof(T));
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(data[i])) return false;
  }
  return true;
}

}  // namespace

// Runs again step by step and looks at each result; BatchNorm's statistics stay as they are.
std::string Net::first_non_finite(Session& session) {
  Impl& s = *impl_;
  const auto finite = [&](const Tensor& tensor) {
    const int64_t bytes = s.backend->bytes(tensor.desc);
    if (tensor.data == nullptr) return true;
    if (tensor.desc.dtype == DType::f32) return all_finite(tensor.as<float>(), bytes);
    if (tensor.desc.dtype == DType::f64) return all_finite(tensor.as<double>(), bytes);
    return true;
  };
  for (size_t i = 0; i < s.parameters.size(); ++i) {
    if (!finite(s.store.weights(static_cast<int>(i)))) {
      return "the " + s.parameters[i].role + " of layer '" + s.parameters[i].layer + "'";
    }
  }
  s.bind(session);
  for (int shard = 0; shard < session.program.options.shards; ++shard) {
    s.bind_shard(session, shard);
    for (auto* steps : {&session.prepare, &session.forward, &session.backward}) {
      for (BoundStep& step : *steps) {
        step.kernel->run({.in = step.in, .out = step.out, .scratch = s.scratch.data()});
        if (std::all_of(step.out.begin(), step.out.end(), finite)) continue;
        const Node& node = session.program.graph.nodes[static_cast<size_t>(step.node)];
        return "layer '" + node.layer + "' (" + name_of(node.op) + " " + name_of(node.pass) + ")";
      }
    }
  }
  return "";
}

}  // namespace resnet
