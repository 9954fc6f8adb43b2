#pragma once

#include "backends/cuda/implementation.h"
#include "backends/cuda/launch.h"

namespace resnet::cuda {

// Counts the labels that are not ignored.
struct LabelCount {
  int64_t labels, ignored, parts;  // parts: where the counts of the blocks lie in scratch
  unsigned blocks;

  LabelCount(int64_t labels, int64_t ignored, ScratchPlan& scratch);
  // dst: one float or int64_t; ticket: as of make_ticket().
  template <class To>
  void run(cudaStream_t stream, const float* label, std::byte* scratch, int* ticket, To* dst) const;
};

}  // namespace resnet::cuda
