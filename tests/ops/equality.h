// Compares a backend with `reference` on an op case: each pass, overwriting and accumulating, in the layouts that the
// backend prefers and in row-major ones, and in place where the backend says so.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cases.h"
#include "resnet/backend/backend.h"

namespace resnet::testing {

struct Report {
  int checked = 0;                                     // passes that ran
  std::vector<std::pair<Pass, std::string>> refusals;  // in the preferred layouts, with the reason
  std::vector<std::string> failures;                   // what is wrong, each with the OpDesc
};

// The linked reference backend.
Backend& reference_backend();
// With a 16-bit type: values rounded to it are stored in it, `reference` computes from them in float, and
// results have to agree as well as that type allows.
Report compare_with_reference(Backend& backend, const Case& c, DType type = DType::f32);
// Whether nets keep what the op reads and writes in 16 bits.
bool has_16_bit_activations(const Op& op);

}  // namespace resnet::testing
