#include "resnet/base/parallel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/cpus.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

// Leaves the threads as the other tests expect them.
class Parallel : public ::testing::Test {
 protected:
  void SetUp() override { setup_threads(4, Bind::none); }
  void TearDown() override { setup_threads(0, Bind::none); }
};

int allowed_cpus() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  sched_getaffinity(0, sizeof mask, &mask);
  return CPU_COUNT(&mask);
}

TEST_F(Parallel, CoversTheRangeOnce) {
  for (int64_t n : {0, 1, 3, 4, 5, 1000}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
    parallel_for(n, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
    });
    for (const auto& v : visits) EXPECT_EQ(v, 1);
  }
}

TEST_F(Parallel, DividesStaticallyAndKeepsTheGrain) {
  for (int64_t grain : {1, 30, 50, 100}) {
    std::mutex mutex;
    std::set<std::pair<int64_t, int64_t>> ranges;
    parallel_for(100, grain, [&](int64_t begin, int64_t end) {
      const std::lock_guard lock(mutex);
      ranges.insert({begin, end});
    });
    EXPECT_EQ(ranges.size(), static_cast<size_t>(std::min<int64_t>(4, 100 / grain)));
    for (const auto& [begin, end] : ranges) EXPECT_GE(end - begin, grain);
  }
}

TEST_F(Parallel, RethrowsTheFirstException) {
  const auto fail = [](int64_t begin, int64_t) {
    if (begin > 0) throw DataError("broken record");
  };
  EXPECT_THROW(parallel_for(100, 1, fail), DataError);
  std::atomic<int> calls{0};
  parallel_for(100, 1, [&](int64_t, int64_t) { ++calls; });
  EXPECT_EQ(calls, 4);  // the team still works
}

TEST_F(Parallel, NestedLoopsRunInline) {
  std::atomic<int64_t> sum{0};
  parallel_for(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      parallel_for(10, 1, [&](int64_t b, int64_t e) { sum += e - b; });
    }
  });
  EXPECT_EQ(sum, 40);
}

TEST_F(Parallel, FlushesDenormals) {
  std::atomic<int> kept{0};
  parallel_for(4, 1, [&](int64_t, int64_t) {
    volatile float tiny = std::numeric_limits<float>::min();
    if (tiny * 0.5f != 0.0f) ++kept;
  });
  EXPECT_EQ(kept, 0);
}

TEST_F(Parallel, ChecksItsArguments) {
  EXPECT_THROW(setup_threads(-1, Bind::none), ConfigError);
  EXPECT_THROW(set_num_threads(0), ConfigError);
  EXPECT_THROW(parse_bind("core"), ConfigError);
  EXPECT_EQ(parse_bind("auto"), Bind::automatic);
}

TEST_F(Parallel, BindsEveryThreadToACpuOfItsOwn) {
  const int cpus = std::min<int>(2, static_cast<int>(inherited_cpus().size()));
  if (cpus < 2) GTEST_SKIP() << "one CPU only";
  const std::string line = setup_threads(2, Bind::cores);
  EXPECT_NE(line.find("bound to CPU"), std::string::npos) << line;
  std::mutex mutex;
  std::set<int> used;
  parallel_for(2, 1, [&](int64_t, int64_t) {
    EXPECT_EQ(allowed_cpus(), 1);
    const std::lock_guard lock(mutex);
    used.insert(sched_getcpu());
  });
  EXPECT_EQ(used.size(), 2u);

  // A thread started by a bound one gets all CPUs back by asking.
  std::thread loader([] {
    unbind_thread();
    EXPECT_EQ(allowed_cpus(), static_cast<int>(inherited_cpus().size()));
  });
  loader.join();
  setup_threads(2, Bind::none);
  EXPECT_EQ(allowed_cpus(), static_cast<int>(inherited_cpus().size()));
}

TEST_F(Parallel, LeavesCoresThatAnotherRunHolds) {
  if (getenv("OMP_PROC_BIND") != nullptr || getenv("OMP_PLACES") != nullptr) GTEST_SKIP();
  const int cpu = inherited_cpus()[0];
  const std::string path = "/tmp/resnet-core-" + std::to_string(cpu) + ".lock";
  const int file = open(path.c_str(), O_RDONLY | O_CREAT, 0644);
  if (file < 0 || flock(file, LOCK_EX | LOCK_NB) != 0) GTEST_SKIP() << "cannot lock " << path;
  const auto all = static_cast<int>(inherited_cpus().size());
  const std::string line = setup_threads(all, Bind::automatic);
  EXPECT_NE(line.find("another resnet run holds the cores"), std::string::npos) << line;
  EXPECT_NE(setup_threads(all, Bind::cores).find("bound to CPU"), std::string::npos);
  close(file);
}

TEST(Cpus, ReadsCgroupQuotas) {
  EXPECT_EQ(parse_cpu_max("150000 100000"), 1.5);
  EXPECT_EQ(parse_cpu_max("max 100000"), std::nullopt);
  EXPECT_EQ(parse_cpu_max("-1 100000"), std::nullopt);
  EXPECT_EQ(parse_cpu_max(""), std::nullopt);
  EXPECT_GE(available_cores(), 1);
}

}  // namespace
}  // namespace resnet
