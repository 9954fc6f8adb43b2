// Checks before the first iteration: what would be learned only hours later.
#pragma once

#include <string>
#include <vector>

#include "resnet/eval/feed.h"
#include "resnet/net/net.h"

namespace resnet {

struct Lint {
  std::vector<std::string> errors;  // the run would be wasted
  std::vector<std::string> warnings;
};

// Looks for: no snapshot ever fires; not enough disk for the snapshots; training records sorted by
// label without shuffle; a test that does not cover its set; BatchNorm averages too slow for
// max_iter; tests asked for without a test net. `test` may be null. Throws DataError when snapshots
// cannot be written.
Lint lint(const SolverParameter& param, const Net& net, const Feed& train, const Feed* test,
          const std::string& prefix, int64_t iter);

}  // namespace resnet
