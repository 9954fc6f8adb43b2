// The one place where loops run on several threads: OpenMP normally, std::thread in the TSan preset.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace resnet {

// Number of compute threads in force (default: cores in the affinity mask and cgroup quota, or
// OMP_NUM_THREADS).
int num_threads();
void set_num_threads(int n);

// How threads are bound to cores: `automatic` binds unless OMP_PROC_BIND is set or another run
// holds the cores (one log line); `cores` always; `none` never.
enum class Bind { automatic, cores, none };
Bind parse_bind(const std::string& text);  // throws ConfigError

// Sets thread count (0 = default), binds threads and sets flush-to-zero on all of them. Call once
// from main before any parallel work; the calling thread becomes compute thread 0, and parallel work is
// to be started from it. Runs see each other by locks on /tmp/resnet-core-<CPU>.lock. Returns a line that
// says what was done. Where several programs share the cores, start them with GOMP_SPINCOUNT=10000, as the
// tool does for itself: idle threads of GNU OpenMP spin for milliseconds otherwise.
std::string setup_threads(int threads, Bind bind);

// Lets the calling thread run on every CPU that the process inherited: for threads that do not compute and
// were started by a bound one (loaders).
void unbind_thread();

// Calls body(begin, end) on disjoint ranges that cover [0, n), statically divided in thread order,
// at least `grain` iterations each. Runs inline when n <= grain or one thread is in force. The first
// exception thrown by a body is rethrown in the caller.
void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

}  // namespace resnet
