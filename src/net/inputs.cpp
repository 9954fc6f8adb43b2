// The ways between host memory and that of the backend: inputs, single values, the state of training.
#include <cstring>

#include "net/impl.h"
#include "resnet/base/error.h"
#include "resnet/ops/training_rules.h"

namespace resnet {

InputBuffer Net::Impl::make_input(int64_t bytes) {
  InputBuffer input;
  input.memory = backend->allocate(bytes);
  if (on_device()) {
    for (Buffer& host : input.host) host = backend->allocate_staging(bytes);
  }
  return input;
}

// Starts copying the inputs that were given out to be filled.
void Net::Impl::upload_inputs(Session& session) {
  if (!on_device()) return;
  const Graph& graph = session.program.graph;
  for (size_t i = 0; i < session.inputs.size(); ++i) {
    InputBuffer& input = session.inputs[i];
    if (!input.touched) continue;
    TensorDesc desc = graph.value(graph.inputs[i].value).desc;
    desc.shape[0] *= session.program.options.shards;
    input.copied[input.turn] =
        backend->upload(input.memory.view(desc), input.host[input.turn].view(desc));
    input.turn ^= 1;
    input.touched = false;
  }
}

Tensor Net::input(Session& session, const std::string& blob) {
  const Graph& graph = session.program.graph;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    const Value& value = graph.value(graph.inputs[i].value);
    if (value.name != blob) continue;
    TensorDesc desc = value.desc;
    desc.shape[0] *= session.program.options.shards;
    InputBuffer& input = session.inputs[i];
    if (auto& copied = input.copied[input.turn]) {
      copied->wait();
      copied.reset();
    }
    input.touched = true;
    return input.fillable().view(desc);
  }
  throw ConfigError("net '" + graph.name + "' has no input '" + blob + "'");
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
