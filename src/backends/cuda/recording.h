// Work that is repeated (CUDA graphs), points in it (events) and copies beside it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "backends/cuda/device.h"
#include "resnet/backend/backend.h"

namespace resnet::cuda {

std::unique_ptr<Mark> make_mark(cudaStream_t stream);

// What `enqueue` puts on the device's stream, captured in a CUDA graph.
std::unique_ptr<Recording> make_recording(const Device& device,
                                          const std::function<void()>& enqueue);

// Copies from the host on a stream of their own. Each goes to a staging area on the device first, two of
// which take turns for every destination, so that it runs beside kernels that still read the last one.
class Uploads {
 public:
  Uploads() = default;
  ~Uploads();
  Uploads(const Uploads&) = delete;
  Uploads& operator=(const Uploads&) = delete;

  std::unique_ptr<Mark> upload(const Device& device, std::byte* dst, const std::byte* src,
                               int64_t bytes);
  // Of the device, for a destination of so many bytes.
  static int64_t kept_bytes(int64_t bytes) { return kAreas * bytes; }

 private:
  static constexpr int kAreas = 2;
  struct Area {
    Buffer memory;
    cudaEvent_t filled = nullptr;   // on the stream of copies
    cudaEvent_t emptied = nullptr;  // on the stream of work: the area may be written again
  };
  struct Ring {
    std::byte* dst = nullptr;
    int64_t bytes = 0;
    Area areas[kAreas];
    int next = 0;
  };
  Ring& ring_for(const Device& device, std::byte* dst, int64_t bytes);

  std::vector<std::unique_ptr<Ring>> rings_;  // most recently used first
};

}  // namespace resnet::cuda
