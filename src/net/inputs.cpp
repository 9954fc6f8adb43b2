// The ways between host memory and that of the backend: inputs, single values, the state of training.
#include <cstring>

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"

namespace resnet {

InputBuffer Net::Impl::make_input(const TensorDesc& desc) {
  return {.desc = desc, .memory = backend->allocate(desc.bytes())};
}

// Makes the buffers of what arrives for an input from now on.
void Net::Impl::set_arrivals(Session& session, InputBuffer& input,
                             const std::vector<TensorDesc>& descs) {
  backend->synchronize();  // the old ones may be in use
  session.recordings.clear();
  session.batches_run.clear();
  input.arrivals.clear();
  for (auto& mark : input.copied) mark.reset();
  input.turn = 0;
  input.touched = false;
  input.conversion.reset();
  input.rule.reset();
  input.mean = Buffer();
  explaining(session.request, nullptr, [&] {
    for (const TensorDesc& desc : descs) {
      Arrival arrival{.desc = desc};
      if (arrival.desc != input.desc) arrival.memory = backend->allocate(arrival.desc.bytes());
      for (Buffer& host : arrival.host) host = backend->allocate_staging(arrival.desc.bytes());
      input.arrivals.push_back(std::move(arrival));
    }
  });
}

void Net::Impl::take_floats(Session& session, InputBuffer& input) {
  if (!on_device() || (!input.arrivals.empty() && input.rule == nullptr)) return;
  const TensorDesc plain{
      .shape = input.desc.shape, .dtype = options.dtype, .layout = Layout::nchw()};
  set_arrivals(session, input, {plain});
  if (plain == input.desc) return;
  input.conversion = context.compile({.op = Reorder{.type = input.desc.dtype},
                                      .in = {plain},
                                      .out = {input.desc},
                                      .accumulate = {}});
}

// Why pixels cannot be taken; "" if they are from now on.
std::string Net::Impl::take_pixels(Session& session, InputBuffer& input,
                                   const std::shared_ptr<const PixelRule>& rule) {
  if (input.rule == rule) return "";
  if (options.dtype != DType::f32)
    return "the net computes in " + std::string(name_of(options.dtype));
  const Shape& shape = input.desc.shape;
  const auto plain = [](const Shape& of, DType type) {
    return TensorDesc{.shape = of, .dtype = type, .layout = Layout::nchw()};
  };
  if (shape.rank() != 4) return "the input has shape " + shape.str();
  const TensorDesc levels = plain(shape, DType::u8);
  const TensorDesc places = plain({shape[0], placement::kSize}, DType::f32);
  const TensorDesc mean = plain(rule->mean_shape, DType::f32);
  const OpDesc op{.op = NormaliseImages{.scale = rule->scale, .type = input.desc.dtype},
                  .in = {levels, places, mean},
                  .out = {input.desc},
                  .accumulate = {}};
  if (const Support support = backend->supports(op); !support.ok) return support.reason;
  set_arrivals(session, input, {levels, places});
  input.conversion = context.compile(op);
  input.mean = backend->allocate(mean.bytes());
  put(input.mean.view(mean), rule->mean.data());
  input.rule = rule;
  return "";
}

InputBuffer& Net::Impl::input_of(Session& session, const std::string& blob) const {
  const Graph& graph = session.program.graph;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    if (graph.value(graph.inputs[i].value).name == blob) return session.inputs[i];
  }
  throw ConfigError("net '" + graph.name + "' has no input '" + blob + "'");
}

// Until the buffers that are to be filled next have been copied.
void Net::Impl::await_turn(InputBuffer& input) const {
  if (auto& copied = input.copied[input.turn]) {
    copied->wait();
    copied.reset();
  }
  input.touched = true;
}

// Starts copying the inputs that were given out to be filled.
void Net::Impl::upload_inputs(Session& session) {
  if (!on_device()) return;
  for (InputBuffer& input : session.inputs) {
    if (!input.touched) continue;
    for (const Arrival& arrival : input.arrivals) {
      const Buffer& memory = arrival.memory.data() == nullptr ? input.memory : arrival.memory;
      input.copied[input.turn] =
          backend->upload(memory.view(arrival.desc), arrival.host[input.turn].view(arrival.desc));
    }
    input.turn ^= 1;
    input.touched = false;
  }
}

// Makes what the program reads of what has arrived.
void Net::Impl::convert_inputs(Session& session) {
  for (const InputBuffer& input : session.inputs) {
    if (input.conversion == nullptr) continue;
    std::vector<Tensor> in;
    for (const Arrival& arrival : input.arrivals) in.push_back(arrival.memory.view(arrival.desc));
    if (input.rule) {
      in.push_back(input.mean.view(
          {.shape = input.rule->mean_shape, .dtype = DType::f32, .layout = Layout::nchw()}));
    }
    const Tensor out = input.memory.view(input.desc);
    grow(scratch, input.conversion->scratch_bytes());
    input.conversion->run({.in = in, .out = std::span(&out, 1), .scratch = scratch.data()});
  }
}

Tensor Net::input(Session& session, const std::string& blob) {
  InputBuffer& input = impl_->input_of(session, blob);
  if (!impl_->on_device()) return input.memory.view(input.desc);
  impl_->take_floats(session, input);
  impl_->await_turn(input);
  const Arrival& floats = input.arrivals.front();
  return floats.host[input.turn].view(floats.desc);
}

Net::PixelInput Net::input_pixels(Session& session, const std::string& blob,
                                  const std::shared_ptr<const PixelRule>& rule,
                                  std::string* reason) {
  reason->clear();
  if (!impl_->on_device()) return {};
  InputBuffer& input = impl_->input_of(session, blob);
  *reason = impl_->take_pixels(session, input, rule);
  if (!reason->empty()) return {};
  impl_->await_turn(input);
  const auto host = [&](const Arrival& arrival) {
    return arrival.host[input.turn].view(arrival.desc);
  };
  return {.levels = host(input.arrivals[0]), .places = host(input.arrivals[1])};
}

std::vector<std::string> Net::input_names(Session& session) const {
  std::vector<std::string> names;
  for (const Input& input : session.program.graph.inputs) {
    names.push_back(session.program.graph.value(input.value).name);
  }
  return names;
}

// A host tensor for a copy; what it held is lost at the next call that needs more room.
Tensor Net::Impl::host_staging(const TensorDesc& desc, int64_t offset) {
  const int64_t bytes = offset + desc.bytes();
  if (staging.bytes() < bytes) {
    backend->synchronize();
    staging = Buffer();
    staging = backend->allocate_staging(bytes);
  }
  return staging.view(desc, offset);
}

void Net::Impl::put(const Tensor& dst, const void* values) {
  const Tensor host = host_staging(dst.desc);
  std::memcpy(host.data, values, static_cast<size_t>(dst.desc.bytes()));
  backend->copy(dst, host);
  backend->synchronize();
}

void Net::Impl::fetch(void* values, const Tensor& src) {
  const Tensor host = host_staging(src.desc);
  backend->copy(host, src);
  backend->synchronize();
  std::memcpy(values, host.data, static_cast<size_t>(src.desc.bytes()));
}

std::vector<double> Net::Impl::scalars(const Tensor& tensor) {
  const auto count = static_cast<size_t>(tensor.desc.count());
  std::vector<double> values(count);
  if (tensor.desc.dtype == DType::f64) {
    fetch(values.data(), tensor);
  } else {
    std::vector<float> floats(count);
    fetch(floats.data(), tensor);
    values.assign(floats.begin(), floats.end());
  }
  return values;
}

Tensor Net::Impl::state_tensor() const {
  return state.view({.shape = {train_state::kSize}, .dtype = DType::f64, .layout = Layout::nchw()});
}

void Net::set_clock(Session& session, uint64_t seed, int64_t position) {
  session.clock_seed = static_cast<double>(seed);
  session.clock_position = static_cast<double>(position);
}

Tensor Net::Impl::plain_host(const Buffer& buffer, const Shape& shape) const {
  return buffer.view({.shape = shape, .dtype = options.dtype, .layout = Layout::nchw()});
}

// For a tensor on its way to or from the host.
Buffer Net::Impl::transfer_memory(int64_t bytes) const {
  Buffer memory;
  explaining({.phase = train_phase ? TRAIN : TEST}, nullptr,
             [&] { memory = backend->allocate(bytes); });
  return memory;
}

HostArray Net::Impl::to_host(const Tensor& tensor) {
  const Shape& shape = tensor.desc.shape;
  TensorDesc plain_desc = tensor.desc;
  plain_desc.layout = Layout::nchw();
  if (plain_desc.dtype != DType::f64) plain_desc.dtype = DType::f32;
  const Buffer plain_memory = transfer_memory(plain_desc.bytes());
  const Tensor plain = plain_memory.view(plain_desc);
  run_kernel({.op = Reorder{.type = plain_desc.dtype},
              .in = {tensor.desc},
              .out = {plain_desc},
              .accumulate = {}},
             std::span(&tensor, 1), std::span(&plain, 1));
  HostArray result{.shape = shape, .data = {}};
  const std::vector<double> values = scalars(plain);
  result.data.assign(values.begin(), values.end());
  return result;
}

void Net::Impl::from_host(const Tensor& tensor, std::span<const float> data) {
  const Shape& shape = tensor.desc.shape;
  if (static_cast<int64_t>(data.size()) != shape.count()) {
    throw InternalError("wrote " + std::to_string(data.size()) + " values into " + shape.str());
  }
  const Buffer plain_memory = transfer_memory(shape.count() * size_of(options.dtype));
  const Tensor plain = plain_host(plain_memory, shape);
  if (options.dtype == DType::f64) {
    const std::vector<double> values(data.begin(), data.end());
    put(plain, values.data());
  } else {
    put(plain, data.data());
  }
  run_kernel({.op = Reorder{}, .in = {plain.desc}, .out = {tensor.desc}, .accumulate = {}},
             std::span(&plain, 1), std::span(&tensor, 1));
  backend->synchronize();  // before its memory is freed
  ++weights_version;
}

void Net::Impl::refresh_copy(int index) {
  const Tensor weights = store.weights(index), copy = store.copy(index);
  run_kernel({.op = Reorder{.type = copy.desc.dtype},
              .in = {weights.desc},
              .out = {copy.desc},
              .accumulate = {}},
             std::span(&weights, 1), std::span(&copy, 1));
}

}  // namespace resnet
