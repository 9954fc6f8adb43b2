// cuDNN's engines for one pass of a convolution, behind an interface without its types. Nothing here needs
// a GPU but execute(): engines can be listed, chosen and built for a device that is only
// described, which is how tests/cuda sees what a GPU would be given.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "resnet/ops/op.h"

namespace resnet::cuda {

// A way to compute a convolution.
struct Engine {
  std::string name =
      {};  // "eng3_k2=1_k24=0": cuDNN's number of the engine, its knobs and their values
  bool tensor_core = false;       // f32 tensors: products in TF32
  bool down_convert = false;      // inputs are rounded to a shorter type
  bool short_sums = false;        // sums are kept in less than f32
  bool transformed = false;       // FFT or Winograd
  bool nondeterministic = false;  // the order of sums varies
  bool compiled = false;          // compiled at run time, which takes time
  std::shared_ptr<void> config = {};
};

// An engine that is ready to run.
struct BuiltEngine {
  std::string name;
  int64_t workspace_bytes = 0;
  std::shared_ptr<void> plan;
};

// What cuDNN knows of a GPU.
class DeviceFacts {
 public:
  static DeviceFacts of_handle(void* handle);  // the GPU of a cudnnHandle_t, which must outlive it
  // A description as cuDNN 9.8 or later writes it. Throws DeviceError.
  static DeviceFacts of_json(const std::string& json);
  void* handle() const { return handle_; }                                         // or nullptr
  const std::shared_ptr<const void>& description() const { return description_; }  // or nullptr

 private:
  void* handle_ = nullptr;
  std::shared_ptr<const void> description_;
};

// out = conv(a, b), or out = conv(a, b) + out. Operands as in ConvolutionPlan (libraries.h).
class ConvolutionGraph {
 public:
  // Throws DeviceError when cuDNN takes no such convolution.
  ConvolutionGraph(const OpDesc& desc, bool accumulate, const DeviceFacts& device);

  // What cuDNN proposes, best first by its own estimate; after those of its model the ones that it keeps as
  // a fallback. Without duplicates. Empty when it has none.
  std::vector<Engine> engines() const;
  // An engine by its name; nullopt when there is none for this convolution.
  std::optional<Engine> engine(const std::string& name) const;
  // Makes an engine ready; nullopt when it turns out not to run.
  std::optional<BuiltEngine> build(const Engine& engine) const;

 private:
  DeviceFacts device_;
  std::shared_ptr<void> graph_;
};

// Enqueues on the stream of the handle, a cudnnHandle_t. Throws DeviceError.
void execute(void* handle, const BuiltEngine& engine, const void* a, const void* b, void* out,
             std::byte* workspace);

}  // namespace resnet::cuda
