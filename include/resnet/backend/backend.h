// The one interface that a backend folder satisfies. Kernels are compiled once at plan time and shared by
// all steps with an equal OpDesc; nothing falls back to another backend or precision silently.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "resnet/ops/op.h"
#include "resnet/tensor/tensor.h"

namespace resnet {

struct Support {
  bool ok = true;
  std::string reason;  // why not, for the user; empty when ok
  // Pairs {output, input} that may share memory (same desc, kernel reads each element before writing it).
  std::vector<std::pair<int, int>> in_place;
};

// What a kernel runs on. Tensors match the OpDesc it was compiled for; scratch has scratch_bytes().
struct KernelArgs {
  std::span<const Tensor> in;
  std::span<const Tensor> out;
  std::byte* scratch = nullptr;  // 64-byte aligned
};

// Immutable after compilation; run() may be called from one thread at a time per arguments. On a device
// run() only enqueues the work.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Implementation name for `resnet plan` and snapshots: "jit:avx512_core", "reference", "blocked:avx512".
  virtual std::string impl() const = 0;
  virtual int64_t scratch_bytes() const { return 0; }
  virtual void run(const KernelArgs& args) const = 0;
};

// A point in the work that a backend was given.
class Mark {
 public:
  virtual ~Mark() = default;
  virtual bool reached() = 0;
  virtual void wait() = 0;                                // until it is reached
  virtual double seconds_since(const Mark& earlier) = 0;  // waits for both
};

// Work that a device repeats by itself: the kernels and copies of one Backend::record().
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void run() = 0;  // enqueues all of it
};

// How a backend chooses between implementations of an op. One that has no choice ignores it.
struct BackendOptions {
  bool tune = false;          // time them and take the fastest; else a fixed rule decides
  bool deterministic = true;  // only those that give equal bits every time
  bool tf32 = false;          // products of f32 values may be rounded to TF32
  std::string cache_dir =
      {};  // for what tuning finds; "": $XDG_CACHE_HOME/resnet or ~/.cache/resnet
  // Choices of an earlier run, as snapshots record them: "<op> <pass> <attributes> <shape>: <impl>".
  // What is named there is taken again where it still runs and the other options allow it.
  std::vector<std::string> choices = {};
  std::function<void(const std::string&)> log = {};  // gets lines for the log; may be empty
};

// Work is done in the order in which it was enqueued by Kernel::run(), copy() and Recording::run(): on
// the host at once, on a device some time before synchronize() returns.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;         // "reference", "onednn", "cuda"
  virtual std::string description() const = 0;  // device, library version, ISA: for `resnet info`

  // For what is compiled from now on.
  virtual void configure(const BackendOptions& /*options*/) {}

  // Whether this computation can be compiled. Layouts may be `any`.
  virtual Support supports(const OpDesc& desc) const = 0;

  // Returns desc with every Layout::any replaced by what this backend wants given the layouts that are fixed.
  // A fixed INPUT layout may be replaced too, when the op cannot use it well: the planner then inserts a
  // Reorder step (weights: a working copy, refreshed after updates). Fixed output layouts are kept.
  // Also fixes the shape of mask outputs. Must be supported.
  virtual OpDesc resolve(const OpDesc& desc) const = 0;

  // Throws DeviceError naming op, shapes, types and the library's status.
  virtual std::shared_ptr<const Kernel> compile(const OpDesc& desc) = 0;

  virtual int64_t bytes(
      const TensorDesc& desc) const = 0;       // storage, for every layout of this backend
  virtual Buffer allocate(int64_t bytes) = 0;  // zeroed; throws DeviceError
  // How much allocate() can still give, about, as far as the system tells.
  virtual int64_t free_bytes() const;
  // What allocate() gives. Only kernels and copies touch `device` memory.
  virtual MemoryKind memory() const { return MemoryKind::host; }
  // Host memory that is copied to and from the device fastest; zeroed.
  virtual Buffer allocate_staging(int64_t bytes) { return host_buffer(bytes); }

  // Copies between tensors of equal desc and bytes, host or device. Host memory must stay as it is, or
  // is not filled, until synchronize() or a later Mark.
  virtual void copy(const Tensor& dst, const Tensor& src) = 0;
  // The same from host memory to dst, beside work enqueued before; what is enqueued later finds dst
  // filled. src may be written again when the returned mark is reached.
  virtual std::unique_ptr<Mark> upload(const Tensor& dst, const Tensor& src);
  // How much of the memory that allocate() gives upload() keeps for a tensor of so many bytes.
  virtual int64_t upload_bytes(int64_t /*bytes*/) const { return 0; }
  virtual void synchronize() {}  // throws DeviceError when enqueued work failed
  virtual std::unique_ptr<Mark> mark();

  // Calls `enqueue` once and keeps what it enqueues instead of doing it; nullptr, without calling it,
  // where work cannot be kept. Tensors, scratch memory and kernels must outlive the recording.
  virtual std::unique_ptr<Recording> record(const std::function<void()>& enqueue);
};

// "reference" | "onednn" | "cpu" (= onednn) | "cuda[:N]" | path of a loadable module (*.so). Throws ConfigError
// for an unknown name (listing the known ones) and DeviceError when it cannot be loaded, saying why.
std::unique_ptr<Backend> make_backend(const std::string& name);
std::vector<std::string> backend_names();  // those that run everywhere
// Why make_backend("cuda") cannot load the CUDA backend: it was not built, or there is no driver. "" when
// it can be tried.
std::string cuda_obstacle();

// Build id that a loadable backend must match: returned by its `extern "C" const char* resnet_build_id()`;
// its only other entry is `extern "C" resnet::Backend* resnet_backend_v1()`.
const char* build_id();

}  // namespace resnet
