#include "data/prefetcher.h"

#include <gtest/gtest.h>
#include <sched.h>

#include "resnet/base/parallel.h"

namespace resnet::testing {
namespace {

cpu_set_t allowed_cpus() {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  return cpus;
}

// Else all of them would share the CPU of the bound thread that starts them.
TEST(Prefetcher, ThreadsOfABoundOneRunOnEveryCpu) {
  unbind_thread();
  const cpu_set_t all = allowed_cpus();
  if (CPU_COUNT(&all) < 2) GTEST_SKIP() << "one CPU";
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu) {
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
  }
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  cpu_set_t of_worker;
  Prefetcher prefetcher(1, 1, [&](int64_t, size_t) { of_worker = allowed_cpus(); });
  prefetcher.take();
  unbind_thread();
  EXPECT_TRUE(CPU_EQUAL(&of_worker, &all));
}

}  // namespace
}  // namespace resnet::testing
