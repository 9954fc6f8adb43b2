// Which algorithm a convolution uses where oneDNN has two, direct and Winograd's: as a snapshot
// recorded it, as tuning found it, or by a fixed rule.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "backends/onednn/implementation.h"
#include "resnet/backend/choices.h"

namespace resnet::onednn {

enum class Algorithm { direct, winograd };

// Whether oneDNN may have Winograd's algorithm for it at all: 3x3, stride 1, f32, AVX-512.
bool may_use_winograd(const OpDesc& desc);

// The fixed rule: a function of op, pass and shapes only, so that runs agree. From measurements of all 3x3
// convolutions of the CIFAR nets and ResNet-18 and 50 (docs/performance.md).
Algorithm algorithm_by_rule(const OpDesc& desc);

// The algorithm that an implementation's name tells ("jit_wino_4x3:avx512_core", "jit:avx512_core");
// nothing for names that are none of oneDNN's convolutions.
std::optional<Algorithm> algorithm_of(const std::string& impl);

// Decides for all convolutions of one backend. Thread-safe, apart from configure().
class Algorithms {
 public:
  Algorithms();

  // Decisions are forgotten. With options.tune those of this machine are kept in a file, one for each version
  // of oneDNN, instruction set and number of compute threads (which must not change later).
  void configure(const BackendOptions& options);

  // A convolution by one of the algorithms; without value where it has no such implementation.
  using With = std::function<std::optional<Implementation>(Algorithm)>;
  // `with` the algorithm decided on, or direct where there is no other.
  Implementation choose(const OpDesc& desc, Layouts& layouts, const With& with);

 private:
  std::optional<Algorithm> tuned(const OpDesc& desc, Layouts& layouts, const Implementation& direct,
                                 const Implementation& winograd);

  BackendOptions options_;
  std::unique_ptr<Choices> choices_;
  std::mutex mutex_;
  // What tuning decided, by what a snapshot's line begins with: ops that share a line share an algorithm.
  std::map<std::string, Algorithm> decided_;
};

// Median time of a run with the compute threads, in microseconds, on operands that hold small changing
// numbers. `desc` has all layouts. Throws OutOfMemory, DeviceError.
double time_kernel(const Kernel& kernel, const OpDesc& desc, const Layouts& layouts);

}  // namespace resnet::onednn
