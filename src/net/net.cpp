#include "resnet/net/net.h"

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"

namespace resnet {

double total_loss(std::span<const Metric> metrics) {
  double loss = 0;
  for (const Metric& m : metrics) {
    if (m.kind == Output::Kind::loss) loss += m.loss_weight * m.value;
  }
  return loss;
}

namespace {

// Whether a phase's net needs shapes that only an opened source can tell.
bool has_data_layer(const NetParameter& net, const GraphOptions& options) {
  for (const int i : layers_in_phase(net, options)) {
    if (net.layer(i).type() == "Data") return true;
  }
  return false;
}

}  // namespace

int64_t batch_of(const Graph& graph) {
  int64_t batch = 0;
  for (const Input& input : graph.inputs) {
    const Shape& shape = graph.value(input.value).desc.shape;
    if (shape.rank() == 0 || (batch != 0 && shape[0] != batch)) return 0;
    batch = shape[0];
  }
  return batch;
}

Net::Net(NetParameter net, std::shared_ptr<Backend> backend, NetOptions options,
         std::map<std::string, Shape> train_shapes, std::map<std::string, Shape> test_shapes)
    : impl_(std::make_unique<Impl>()) {
  Impl& s = *impl_;
  s.param = std::move(net);
  s.backend = std::move(backend);
  s.options = std::move(options);
  s.train_shapes = std::move(train_shapes);
  s.test_shapes = std::move(test_shapes);
  s.context.backend = s.backend.get();
  if (s.options.plan.shards < 1) throw ConfigError("shards must be at least 1");

  const auto possible = [&](Phase phase, const std::map<std::string, Shape>& shapes) {
    GraphOptions graph_options{
        .phase = phase, .level = s.options.level, .stages = s.options.stages};
    return !shapes.empty() || !has_data_layer(s.param, graph_options);
  };
  const bool train_possible = possible(TRAIN, s.train_shapes);
  s.test_phase = possible(TEST, s.test_shapes);
  if (train_possible) {
    const Graph graph = s.build(TRAIN, s.train_shapes);
    s.own_batch[TRAIN] = batch_of(graph);
    s.train_phase = std::any_of(graph.outputs.begin(), graph.outputs.end(),
                                [](const Output& o) { return o.kind == Output::Kind::loss; });
    if (s.train_phase) s.declare(graph);
  }
  if (s.test_phase) {
    const Graph graph = s.build(TEST, s.test_shapes);
    s.own_batch[TEST] = batch_of(graph);
    s.declare(graph);
  }
}

Net::~Net() = default;

Graph Net::Impl::build(Phase phase, const std::map<std::string, Shape>& shapes) const {
  return build_graph(param, {.phase = phase,
                             .level = options.level,
                             .stages = options.stages,
                             .dtype = options.dtype,
                             .input_shapes = shapes,
                             .locate = options.locate});
}

// Adds the graph's parameters that are not known yet; those that are must agree.
void Net::Impl::declare(const Graph& graph) {
  for (const Parameter& p : graph.parameters) {
    const auto [found, fresh] =
        parameter_index.emplace(p.name(), static_cast<int>(parameters.size()));
    if (fresh) {
      parameters.push_back(p);
      continue;
    }
    const Parameter& known = parameters[static_cast<size_t>(found->second)];
    if (!(known.shape == p.shape)) {
      throw ConfigError("layer '" + p.layer + "': its " + p.role + " has the shape " +
                        known.shape.str() + " in TRAIN and " + p.shape.str() +
                        " in TEST; make the phases agree");
    }
  }
  for (const Value& value : graph.values) {
    if (value.kind == ValueKind::statistics) {
      TensorDesc desc = value.desc;
      desc.layout = Layout::nchw();
      statistics.emplace_back(value.name, desc);
    }
  }
}

// The shapes of all inputs: the file's and the sources', with another batch size or single replacements.
std::map<std::string, Shape> Net::Impl::shapes_for(
    Phase phase, int64_t batch, const std::map<std::string, Shape>& replaced) const {
  std::map<std::string, Shape> shapes = phase == TRAIN ? train_shapes : test_shapes;
  for (const auto& [name, shape] : replaced) shapes[name] = shape;
  const int64_t shards = phase == TRAIN ? options.plan.shards : 1;
  if (batch <= 0 && shards == 1) return shapes;
  const Graph graph = build(phase, shapes);
  for (const Input& input : graph.inputs) {
    const Value& value = graph.value(input.value);
    Shape shape = value.desc.shape;
    if (batch > 0 && !replaced.contains(value.name)) shape[0] = batch;
    if (shape[0] % shards != 0) {
      throw ConfigError("--shards=" + std::to_string(shards) + " does not divide the batch of " +
                        std::to_string(shape[0]) + " in '" + value.name + "'");
    }
    shape[0] /= shards;
    shapes[value.name] = shape;
  }
  return shapes;
}

PlanOptions Net::Impl::plan_options(const SessionRequest& request) const {
  PlanOptions of = options.plan;
  of.backward = request.phase == TRAIN;
  of.prepare_weights = of.prepare_weights && request.shapes.empty();
  of.keep.insert(of.keep.end(), request.keep.begin(), request.keep.end());
  if (request.phase != TRAIN) {
    of.shards = 1;
    of.input_gradients = false;
  }
  return of;
}

Session& Net::Impl::find_session(const SessionRequest& request) {
  for (auto it = sessions.begin(); it != sessions.end(); ++it) {
    if ((*it)->request != request) continue;
    sessions.splice(sessions.begin(), sessions, it);
    return *sessions.front();
  }

  const PlanningTime time(&planning_seconds);
  sessions.push_front(make_session(request));
  drop_sessions();
  return *sessions.front();
}

std::unique_ptr<Session> Net::Impl::make_session(const SessionRequest& request) {
  auto session = std::make_unique<Session>();
  session->request = request;
  session->program = plan_for(request, true, context);
  explaining(request, session.get(), [&] {
    const Program& program = session->program;
    for (const Input& input : program.graph.inputs) {
      TensorDesc desc = program.graph.value(input.value).desc;
      desc.shape[0] *= program.options.shards;
      session->inputs.push_back(make_input(desc));
    }
    session->persistent = backend->allocate(program.persistent_bytes);
    session->derived = share_derived(program);
  });
  return session;
}

// The program's derived values: those that other sessions hold, and memory for the rest.
std::map<ValueId, std::shared_ptr<Derived>> Net::Impl::share_derived(const Program& program) {
  std::map<ValueId, std::shared_ptr<Derived>> values;
  for (const auto& [value, recipe] : program.recipes) {
    std::weak_ptr<Derived>& known = derived[recipe];
    std::shared_ptr<Derived> shared = known.lock();
    if (!shared) {
      const int64_t bytes = program.placement[static_cast<size_t>(value)].bytes;
      shared = std::make_shared<Derived>(Derived{.memory = backend->allocate(bytes)});
      known = shared;
    }
    values[value] = std::move(shared);
  }
  return values;
}

// Keeps the latest session and those before it that are within the options' limits.
void Net::Impl::drop_sessions() {
  int64_t idle_bytes = 0;
  int count = 0;
  auto it = sessions.begin();
  while (++it != sessions.end()) {
    idle_bytes += (*it)->own_bytes();
    if (++count >= options.max_programs || idle_bytes > options.max_program_bytes) break;
  }
  sessions.erase(it, sessions.end());
  std::erase_if(derived, [](const auto& entry) { return entry.second.expired(); });
}

Session& Net::session(Phase phase, int64_t batch, const std::map<std::string, Shape>& shapes,
                      const std::vector<std::string>& keep) {
  if (!has_phase(phase)) {
    throw ConfigError("net '" + impl_->param.name() + "' has no " + std::string(Phase_Name(phase)) +
                      (phase == TRAIN ? " net with a loss; use a train_val prototxt" : " net"));
  }
  impl_->ensure_store();
  if (batch == impl_->own_batch[phase]) batch = 0;  // the same program
  return impl_->find_session({.phase = phase, .batch = batch, .shapes = shapes, .keep = keep});
}

bool Net::has_phase(Phase phase) const {
  return phase == TRAIN ? impl_->train_phase : impl_->test_phase;
}

// Chooses the storage of the parameters: as the programs in that context want it, else plain.
void Net::Impl::place(ParameterStore& parameter_store, PlanContext& of) const {
  std::vector<TensorDesc> descs;
  for (const Parameter& p : parameters) {
    const auto [found, fresh] = of.parameters.emplace(
        p.name(), TensorDesc{.shape = p.shape, .dtype = options.dtype, .layout = Layout::nchw()});
    descs.push_back(found->second);
  }
  parameter_store.place(
      *backend, parameters, descs, statistics, train_phase,
      keeps_weight_copies(*backend, options.plan.math) ? options.plan.math : DType::f32);
}

// Training, if there is any, chooses how parameters are stored.
void Net::Impl::ensure_store() {
  if (store.allocated()) return;
  const SessionRequest request{.phase = train_phase ? TRAIN : TEST};
  if (train_phase) find_session(request);
  place(store, context);
  explaining(request, nullptr, [&] { store.allocate(*backend); });
  state = backend->allocate(train_state::kSize * size_of(DType::f64));
  double initial[train_state::kSize] = {};
  initial[train_state::kLossScale] = first_loss_scale();
  put(state_tensor(), initial);
}

void Net::initialize(uint64_t seed) {
  impl_->ensure_store();
  for (size_t i = 0; i < impl_->parameters.size(); ++i) {
    const int index = static_cast<int>(i);
    const std::vector<float> zeros = impl_->zeros(index).data;
    write_history(index, zeros);
    write_parameter(index, impl_->parameters[i].learnable ? impl_->filled(i, seed) : zeros);
  }
}

// Values of a fresh weight.
std::vector<float> Net::Impl::filled(size_t index, uint64_t seed) const {
  const Parameter& parameter = parameters[index];
  try {
    const std::vector<double> values = fill(parameter.filler, parameter.shape, seed, index);
    return {values.begin(), values.end()};
  } catch (const ConfigError& e) {
    throw ConfigError("layer '" + parameter.layer + "': " + e.what());
  }
}

// Whether the parameter has a gradient and momentum.
bool Net::Impl::trained(int index) const {
  return train_phase && parameters[static_cast<size_t>(index)].learnable;
}

HostArray Net::Impl::zeros(int index) const {
  const Shape& shape = parameters[static_cast<size_t>(index)].shape;
  return {.shape = shape, .data = std::vector<float>(static_cast<size_t>(shape.count()), 0.0F)};
}

namespace {

ValueId readable_value(const Session& session, const std::string& blob) {
  const Graph& graph = session.program.graph;
  ValueId value = kNoValue;
  constexpr std::string_view kLayer = "layer:";
  if (blob.starts_with(kLayer)) {
    for (const auto& [layer, v] : graph.layer_outputs) {
      if (layer == blob.substr(kLayer.size())) value = v;
    }
  } else if (const auto found = graph.blobs.find(blob); found != graph.blobs.end()) {
    value = found->second;
  }
  std::string readable;
  const auto is_readable = [&](const std::string& name, ValueId v) {
    const auto& keep = session.program.options.keep;
    return session.input_index(v) >= 0 || name.starts_with("diff:") ||
           std::find(keep.begin(), keep.end(), name) != keep.end() ||
           std::any_of(graph.outputs.begin(), graph.outputs.end(),
                       [&](const Output& o) { return o.value == v; });
  };
  if (value != kNoValue && is_readable(blob, value)) return value;
  for (const auto& [name, v] : graph.blobs) {
    if (is_readable(name, v)) readable += (readable.empty() ? "" : ", ") + name;
  }
  throw ConfigError("blob '" + blob + "' of net '" + graph.name + "' was not kept; readable are " +
                    readable);
}

}  // namespace

HostArray Net::read(Session& session, const std::string& blob) {
  impl_->bind(session);
  const ValueId value = readable_value(session, blob);
  if (const int index = session.input_index(value); index >= 0) {
    impl_->upload_inputs(session);
    impl_->convert_inputs(session);
    const InputBuffer& input = session.inputs[static_cast<size_t>(index)];
    return impl_->to_host(input.memory.view(input.desc));
  }
  return impl_->to_host(impl_->tensor_of(session, value, session.program.options.shards - 1));
}

HostArray Net::read_input_gradient(Session& session, const std::string& blob) {
  return read(session, "diff:" + blob);
}

const std::vector<Parameter>& Net::parameters() const { return impl_->parameters; }

HostArray Net::read_parameter(int index) const {
  impl_->ensure_store();
  return impl_->to_host(impl_->store.weights(index));
}
HostArray Net::read_gradient(int index) const {
  impl_->ensure_store();
  return impl_->trained(index) ? impl_->to_host(impl_->store.gradient(index)) : impl_->zeros(index);
}
HostArray Net::read_history(int index) const {
  impl_->ensure_store();
  return impl_->trained(index) ? impl_->to_host(impl_->store.history(index)) : impl_->zeros(index);
}
void Net::write_parameter(int index, std::span<const float> data) {
  impl_->ensure_store();
  impl_->from_host(impl_->store.weights(index), data);
  if (impl_->store.has_copies()) impl_->refresh_copy(index);
}
void Net::write_history(int index, std::span<const float> data) {
  impl_->ensure_store();
  if (impl_->trained(index)) impl_->from_host(impl_->store.history(index), data);
}

void Net::reset_statistics() {
  for (size_t i = 0; i < impl_->parameters.size(); ++i) {
    const Parameter& p = impl_->parameters[i];
    if (p.learnable) continue;
    write_parameter(static_cast<int>(i),
                    std::vector<float>(static_cast<size_t>(p.shape.count()), 0.0F));
  }
}

const NetParameter& Net::param() const { return impl_->param; }
Backend& Net::backend() { return *impl_->backend; }
DType Net::dtype() const { return impl_->options.dtype; }
const Program& Net::program(const Session& session) const { return session.program; }
int64_t Net::arena_bytes() const { return impl_->arena.bytes() + impl_->scratch.bytes(); }
int64_t Net::parameter_bytes() const { return impl_->store.bytes(); }

int64_t Net::planned_bytes() const {
  const Impl& s = *impl_;
  int64_t arena = 0;
  int64_t bytes = s.store.bytes() + s.accumulated.bytes();
  for (const Buffer& partial : s.tree) bytes += partial.bytes();
  for (const auto& session : s.sessions) {
    arena = std::max(arena, session->program.arena_bytes + session->program.scratch_bytes);
    bytes += session->own_bytes();
  }
  for (const auto& [recipe, value] : s.derived) {
    if (const auto held = value.lock()) bytes += held->memory.bytes();
  }
  return bytes + arena;
}

double Net::planning_seconds() const { return impl_->planning_seconds; }
void Net::set_timing(bool on) { impl_->timing = on; }

std::vector<Net::StepTime> Net::step_times(const Session& session) const {
  std::vector<StepTime> times;
  for (const auto* steps : {&session.prepare, &session.prologue, &session.forward,
                            &session.backward, &session.statistics}) {
    for (const BoundStep& step : *steps) {
      const Node& node = session.program.graph.nodes[static_cast<size_t>(step.node)];
      times.push_back({.layer = node.layer,
                       .op = name_of(node.op),
                       .pass = name_of(node.pass),
                       .impl = step.kernel->impl(),
                       .seconds = step.seconds});
    }
  }
  return times;
}

}  // namespace resnet
