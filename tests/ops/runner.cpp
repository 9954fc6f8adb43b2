#include "runner.h"

#include <algorithm>

#include "resnet/base/error.h"

namespace resnet::testing {
namespace {

constexpr int64_t kGuardBytes = 256;
constexpr std::byte kGuard{0xA5}, kPoison{0xFF};

bool is_real(DType t) { return t != DType::i32 && t != DType::u8; }

OpDesc reorder(const TensorDesc& from, const TensorDesc& to) {
  return {Reorder{}, Pass::forward, {from}, {to}, {}};
}

TensorDesc with_layout(TensorDesc desc, Layout layout) {
  desc.layout = layout;
  return desc;
}

std::vector<HostTensor> all_inputs(const Case& c, DType type) {
  std::vector<HostTensor> inputs;
  for (size_t i = 0; i < forward_inputs(c, type).size(); ++i) {
    inputs.push_back(forward_input(c, i, type));
  }
  return inputs;
}

}  // namespace

void write_bytes(Backend& backend, std::byte* at, const std::vector<std::byte>& bytes) {
  const TensorDesc desc{Shape{static_cast<int64_t>(bytes.size())}, DType::u8, Layout::nchw()};
  backend.copy({desc, at, backend.memory()},
               {desc, const_cast<std::byte*>(bytes.data()), MemoryKind::host});
  backend.synchronize();
}

std::vector<std::byte> read_bytes(Backend& backend, const std::byte* at, int64_t count) {
  std::vector<std::byte> bytes(static_cast<size_t>(count));
  const TensorDesc desc{Shape{count}, DType::u8, Layout::nchw()};
  backend.copy({desc, bytes.data(), MemoryKind::host},
               {desc, const_cast<std::byte*>(at), backend.memory()});
  backend.synchronize();
  return bytes;
}

Buffer poisoned_scratch(Backend& backend, const Kernel& kernel) {
  Buffer scratch = backend.allocate(kernel.scratch_bytes());
  if (scratch.data() != nullptr) {
    write_bytes(backend, scratch.data(),
                std::vector<std::byte>(static_cast<size_t>(scratch.bytes()), kPoison));
  }
  return scratch;
}

DeviceTensor::DeviceTensor(Backend& backend, const TensorDesc& desc)
    : backend_(&backend),
      desc_(desc),
      bytes_(backend.bytes(desc)),
      buffer_(backend.allocate(bytes_ + kGuardBytes)) {
  write_bytes(backend, buffer_.data() + bytes_, std::vector<std::byte>(kGuardBytes, kGuard));
}

void DeviceTensor::poison() {
  write_bytes(*backend_, buffer_.data(),
              std::vector<std::byte>(static_cast<size_t>(bytes_), kPoison));
}

bool DeviceTensor::guard_intact() const {
  const auto guard = read_bytes(*backend_, buffer_.data() + bytes_, kGuardBytes);
  return std::all_of(guard.begin(), guard.end(), [](std::byte b) { return b == kGuard; });
}

bool DeviceTensor::padding_is_zero() const {
  if (desc_.layout.kind != Layout::Kind::blocked || !is_real(desc_.dtype)) return true;
  // (N, C / block, rest, block): zero where block index * block + position >= C.
  const int64_t block = desc_.layout.tag, channels = desc_.shape[1];
  const int64_t blocks = (channels + block - 1) / block, rest = desc_.shape.count_from(2);
  const int64_t size = size_of(desc_.dtype);
  const std::vector<std::byte> bytes = contents();
  for (int64_t i = 0; i < desc_.shape[0] * blocks * rest * block; ++i) {
    if (i / (block * rest) % blocks * block + i % block < channels) continue;
    const std::byte* element = bytes.data() + i * size;
    if (std::any_of(element, element + size, [](std::byte b) { return b != std::byte{0}; })) {
      return false;
    }
  }
  return true;
}

std::vector<std::byte> DeviceTensor::contents() const {
  return read_bytes(*backend_, buffer_.data(), bytes_);
}

void run_once(Backend& backend, const OpDesc& desc, const std::vector<Tensor>& in,
              const std::vector<Tensor>& out) {
  const auto kernel = backend.compile(desc);
  const Buffer scratch = poisoned_scratch(backend, *kernel);
  kernel->run({in, out, scratch.data()});
  backend.synchronize();
}

DeviceTensor convert(Backend& backend, const DeviceTensor& tensor, const TensorDesc& desc) {
  DeviceTensor converted(backend, desc);
  if (tensor.desc() == desc) {
    backend.copy(converted.view(), tensor.view());
  } else {
    converted.poison();
    run_once(backend, reorder(tensor.desc(), desc), {tensor.view()}, {converted.view()});
  }
  return converted;
}

DeviceTensor upload(Backend& backend, const HostTensor& values, const TensorDesc& desc) {
  DeviceTensor plain(backend, values.desc());
  backend.copy(plain.view(), values.view());
  backend.synchronize();
  return convert(backend, plain, desc);
}

HostTensor download(Backend& backend, const DeviceTensor& tensor) {
  HostTensor values(tensor.desc());
  const DeviceTensor plain = convert(backend, tensor, values.desc());
  backend.copy(values.view(), plain.view());
  backend.synchronize();
  return values;
}

void Prepared::run(std::optional<std::pair<int, int>> in_place) const {
  std::vector<Tensor> sources, destinations;
  for (const DeviceTensor& t : in) sources.push_back(t.view());
  for (const DeviceTensor& t : out) destinations.push_back(t.view());
  if (in_place) {
    destinations[static_cast<size_t>(in_place->first)].data =
        sources[static_cast<size_t>(in_place->second)].data;
  }
  kernel->run({sources, destinations, scratch.data()});
}

Runner::Runner(Backend& backend, const Op& op, std::vector<HostTensor> inputs,
               const std::string& name, Start start)
    : backend_(backend), op_(op), inputs_(std::move(inputs)), name_(name), start_(start) {}

Runner::Runner(Backend& backend, const Case& c, DType type, Start start)
    : Runner(backend, c.op, all_inputs(c, type), c.name, start) {}

std::vector<Pass> Runner::passes(const Case& c) {
  const auto n = static_cast<int>(forward_inputs(c, DType::f32).size());
  std::vector<Pass> found;
  for (Pass pass : {Pass::forward, Pass::backward, Pass::backward_data, Pass::backward_weights,
                    Pass::recompute}) {
    if (signature(c.op, pass, n)) found.push_back(pass);
  }
  return found;
}

void Runner::set_input(size_t i, HostTensor values) {
  inputs_[i] = std::move(values);
  forward_.reset();
}

void Runner::set_mask(const HostTensor& dst) {
  for (size_t i = 1; i < forward().out.size(); ++i) {
    DeviceTensor& out = forward_->out[i];
    if (out.desc().dtype != DType::u8) continue;
    auto* bytes = out.view().as<uint8_t>();
    std::fill(bytes, bytes + out.desc().count(), uint8_t{0});
    for (int64_t at = 0; at < dst.count(); ++at) {
      if (dst[at] > 0) bytes[at / 8] = static_cast<uint8_t>(bytes[at / 8] | (1u << (at % 8)));
    }
  }
}

HostTensor Runner::diff_output(size_t i) const {
  if (const auto given = diff_outputs_.find(i); given != diff_outputs_.end()) {
    return copy_of(given->second);
  }
  std::vector<TensorDesc> in;
  for (const HostTensor& t : inputs_) in.push_back(t.desc());
  return random_tensor(infer(op_, in)[i], Random(hash_of(name_), 200 + i, Use::test));
}

OpDesc Runner::describe(Pass pass, int accumulate) {
  std::vector<TensorDesc> in;
  for (const HostTensor& t : inputs_) {
    in.push_back(with_layout(t.desc(), start_ == Start::plain ? Layout::nchw() : Layout::any()));
  }
  OpDesc desc = describe_pass(op_, pass, in);
  if (start_ == Start::plain) {
    for (TensorDesc& t : desc.out) t.layout = Layout::nchw();
  }
  const auto operands = signature(op_, pass, static_cast<int>(in.size()));
  for (size_t i = 0; i < desc.in.size() && pass != Pass::forward; ++i) {
    const auto [kind, index] = operands->in[i];
    const auto at = static_cast<size_t>(index);
    if (kind == Operand::Kind::input) desc.in[i] = forward().in[at].desc();
    if (kind == Operand::Kind::output) desc.in[i] = forward().out[at].desc();
    if (kind == Operand::Kind::diff_output && start_ == Start::plain) {
      desc.in[i].layout = Layout::nchw();
    }
  }
  if (accumulate >= 0) {
    desc.accumulate.assign(desc.out.size(), false);
    desc.accumulate[static_cast<size_t>(accumulate)] = true;
  }
  return desc;
}

Support Runner::supports(Pass pass, int accumulate) {
  if (pass != Pass::forward) {
    if (const Support s = supports(Pass::forward); !s.ok) return s;
  }
  return backend_.supports(describe(pass, accumulate));
}

Prepared& Runner::forward() {
  if (!forward_) {
    forward_ = prepare(Pass::forward);
    forward_->run();
    backend_.synchronize();
  }
  return *forward_;
}

DeviceTensor Runner::operand(const Operand& source, const TensorDesc& desc) {
  const auto at = static_cast<size_t>(source.index);
  switch (source.kind) {
    case Operand::Kind::input:
      return upload(backend_, inputs_[at], desc);
    case Operand::Kind::output:
      return convert(backend_, forward().out[at], desc);
    case Operand::Kind::diff_output:
      return upload(backend_, diff_output(at), desc);
    default:
      throw InternalError("no pass reads the gradient of an input");
  }
}

std::optional<HostTensor> Runner::initial_value(const OpDesc& desc, size_t output) {
  if (!desc.accumulates(output) && !updates_outputs(op_)) return std::nullopt;
  if (const auto given = initial_.find(output); given != initial_.end()) {
    return copy_of(given->second);
  }
  return initial_output(name_, output, desc.out[output]);
}

Prepared Runner::prepare(Pass pass, int accumulate) {
  Prepared p;
  p.desc = backend_.resolve(describe(pass, accumulate));
  p.kernel = backend_.compile(p.desc);
  const auto operands = signature(op_, pass, static_cast<int>(inputs_.size()));
  for (size_t i = 0; i < p.desc.in.size(); ++i) {
    p.in.push_back(operand(operands->in[i], p.desc.in[i]));
  }
  for (size_t i = 0; i < p.desc.out.size(); ++i) {
    if (auto values = initial_value(p.desc, i)) {
      p.out.push_back(upload(backend_, *values, p.desc.out[i]));
      p.initial.push_back(std::move(*values));
    } else {
      p.out.emplace_back(backend_, p.desc.out[i]);
      p.out.back().poison();
      p.initial.emplace_back();
    }
  }
  p.scratch = poisoned_scratch(backend_, *p.kernel);
  return p;
}

std::vector<HostTensor> Runner::run(Pass pass) {
  const Prepared prepared = prepare(pass);
  prepared.run();
  backend_.synchronize();
  return results(prepared);
}

std::vector<HostTensor> Runner::results(const Prepared& prepared) {
  std::vector<HostTensor> values;
  for (const DeviceTensor& t : prepared.out) {
    const bool readable = is_real(t.desc().dtype) || t.desc().layout.is_plain();
    values.push_back(readable ? download(backend_, t) : HostTensor());
  }
  return values;
}

}  // namespace resnet::testing
