// Names for stretches of work in NVIDIA's profilers (Nsight Systems), which cost next to nothing while none
// is attached. Nothing where the toolkit has no NVTX headers.
#pragma once

#if __has_include(<nvtx3/nvToolsExt.h>)
#include <nvtx3/nvToolsExt.h>
#define RESNET_NVTX 1
#endif

namespace resnet::cuda {

// What this thread enqueues while it lives bears the name.
class Range {
 public:
#ifdef RESNET_NVTX
  explicit Range(const char* name) { nvtxRangePushA(name); }
  ~Range() { nvtxRangePop(); }
#else
  explicit Range(const char* /*name*/) {}
#endif
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;
};

}  // namespace resnet::cuda
