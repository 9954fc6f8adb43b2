// How much memory there is.
#pragma once

#include <cstdint>

namespace resnet {

// Bytes of main memory that this process can still take: what the machine has free or can free, within
// the limits of the process's cgroup. The largest int64 where the system does not tell.
int64_t available_memory_bytes();

}  // namespace resnet
