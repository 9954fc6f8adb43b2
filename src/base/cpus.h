// Which CPUs this process may use, and who else uses them. Internal to src/base.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace resnet {

// The CPUs of the affinity mask that the process inherited (with OMP_PLACES: those of the places),
// one of each physical core first, then the others. Read once, before any thread is bound.
const std::vector<int>& inherited_cpus();

// Physical cores among inherited_cpus(), at most the cgroup's CPU quota (rounded down, at least 1).
int available_cores();

// Takes up to `wanted` of the CPUs that no other run of this program has taken, by flock() on one
// file a CPU; they stay taken until the next call or the end of the process. A CPU whose file
// cannot be opened counts as free.
std::vector<int> take_free_cpus(int wanted);

// CPU quota of a cgroup v2 "cpu.max" text ("150000 100000" -> 1.5); nullopt for "max" or nonsense.
std::optional<double> parse_cpu_max(const std::string& text);

}  // namespace resnet
