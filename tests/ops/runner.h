// Runs op cases on a backend: layouts as the backend wants them, values converted by its own Reorder.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cases.h"
#include "host_tensor.h"
#include "resnet/backend/backend.h"

namespace resnet::testing {

// Bytes of a backend's memory, which may be a device's: written, and read.
void write_bytes(Backend& backend, std::byte* at, const std::vector<std::byte>& bytes);
std::vector<std::byte> read_bytes(Backend& backend, const std::byte* at, int64_t count);
// Scratch memory that a kernel asks for, all bits set.
Buffer poisoned_scratch(Backend& backend, const Kernel& kernel);

// A tensor in a backend's memory, followed by guard bytes that no kernel may touch.
class DeviceTensor {
 public:
  DeviceTensor(Backend& backend, const TensorDesc& desc);
  Tensor view() const { return buffer_.view(desc_); }
  const TensorDesc& desc() const { return desc_; }
  void poison();  // all bits set: NaN, in padding too
  bool guard_intact() const;
  bool padding_is_zero() const;  // of blocked layouts
  std::vector<std::byte> contents() const;

 private:
  Backend* backend_;
  TensorDesc desc_;
  int64_t bytes_;
  Buffer buffer_;
};

// Compiles desc and calls the kernel once, with poisoned scratch memory.
void run_once(Backend& backend, const OpDesc& desc, const std::vector<Tensor>& in,
              const std::vector<Tensor>& out);
// Puts host values into a tensor of any layout, and back.
DeviceTensor upload(Backend& backend, const HostTensor& values, const TensorDesc& desc);
HostTensor download(Backend& backend, const DeviceTensor& tensor);
// The same values in another layout.
DeviceTensor convert(Backend& backend, const DeviceTensor& tensor, const TensorDesc& desc);

// Which layouts the forward pass starts from: those that the backend prefers, or row-major everywhere.
enum class Start { preferred, plain };

// A compiled pass with its tensors; outputs are poisoned, or hold initial values.
struct Prepared {
  OpDesc desc;
  std::shared_ptr<const Kernel> kernel;
  std::vector<DeviceTensor> in, out;
  std::vector<HostTensor> initial;  // of outputs that are accumulated or updated; others empty
  Buffer scratch;
  // Output i shares the memory of input j.
  void run(std::optional<std::pair<int, int>> in_place = std::nullopt) const;
};

// One op on one backend. Owns what the forward pass made, which other passes read.
class Runner {
 public:
  // Values that are not given are random, derived from `name`.
  Runner(Backend& backend, const Op& op, std::vector<HostTensor> inputs, const std::string& name,
         Start start = Start::preferred);
  Runner(Backend& backend, const Case& c, DType type = DType::f32, Start start = Start::preferred);

  // Passes that the op has, forward first.
  static std::vector<Pass> passes(const Case& c);

  const HostTensor& input(size_t i) const { return inputs_[i]; }
  void set_input(size_t i, HostTensor values);  // also forgets the forward pass
  void set_diff_output(size_t i, HostTensor values) { diff_outputs_[i] = std::move(values); }
  // What output i holds before it is updated or accumulated.
  void set_initial(size_t i, HostTensor values) { initial_[i] = std::move(values); }
  // Replaces the mask of the forward pass by dst > 0 (row-major backends only).
  void set_mask(const HostTensor& dst);
  // The values that stand for the gradient of forward output i.
  HostTensor diff_output(size_t i) const;

  // Layouts not chosen yet; accumulates into output `accumulate` (-1: none).
  OpDesc describe(Pass pass, int accumulate = -1);
  Support supports(Pass pass, int accumulate = -1);
  Prepared prepare(Pass pass, int accumulate = -1);
  // Output values of a pass that overwrites its outputs.
  std::vector<HostTensor> run(Pass pass);
  // Row-major values of the outputs of a prepared pass that ran; masks and indices in other layouts than nchw
  // are left empty.
  std::vector<HostTensor> results(const Prepared& prepared);

 private:
  Prepared& forward();
  DeviceTensor operand(const Operand& source, const TensorDesc& desc);
  std::optional<HostTensor> initial_value(const OpDesc& desc, size_t output);

  Backend& backend_;
  Op op_;
  std::vector<HostTensor> inputs_;
  std::string name_;
  Start start_;
  std::map<size_t, HostTensor> diff_outputs_, initial_;
  std::optional<Prepared> forward_;
};

}  // namespace resnet::testing
