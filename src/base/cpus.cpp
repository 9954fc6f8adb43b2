#include "base/cpus.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/cgroup.h"

namespace resnet {
namespace {

std::vector<int> mask_cpus() {
  // Room for 8192 CPUs: the kernel refuses a mask that is smaller than its own.
  constexpr int kMaxCpus = 8192;
  cpu_set_t* mask = CPU_ALLOC(kMaxCpus);
  const size_t size = CPU_ALLOC_SIZE(kMaxCpus);
  std::vector<int> cpus;
  if (sched_getaffinity(0, size, mask) == 0) {
    for (int cpu = 0; cpu < kMaxCpus; ++cpu) {
      if (CPU_ISSET_S(cpu, size, mask)) cpus.push_back(cpu);
    }
  }
  CPU_FREE(mask);
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

// The OpenMP runtime binds the first thread as soon as it is loaded when it has places, so the
// thread's mask says little then.
std::vector<int> place_cpus() {
  std::set<int> cpus;
#ifdef _OPENMP
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<size_t>(omp_get_place_num_procs(place)));
    omp_get_place_proc_ids(place, ids.data());
    cpus.insert(ids.begin(), ids.end());
  }
#endif
  return {cpus.begin(), cpus.end()};
}

// Equal for the CPUs of one physical core.
std::string core_of(int cpu) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                     "/topology/thread_siblings_list");
  std::string siblings;
  return std::getline(file, siblings) ? siblings : std::to_string(cpu);
}

struct Cpus {
  std::vector<int> ids;    // one of each core first
  int physical_cores = 0;  // so many
};

Cpus find_cpus() {
  std::vector<int> all = place_cpus();
  if (all.empty()) all = mask_cpus();
  Cpus found;
  std::vector<int> siblings;
  std::set<std::string> cores;
  for (int cpu : all) {
    (cores.insert(core_of(cpu)).second ? found.ids : siblings).push_back(cpu);
  }
  found.physical_cores = static_cast<int>(found.ids.size());
  found.ids.insert(found.ids.end(), siblings.begin(), siblings.end());
  return found;
}

const Cpus& cpus() {
  static const Cpus found = find_cpus();
  return found;
}

// The smallest quota of the process's cgroup and its ancestors, in CPUs.
std::optional<double> cgroup_quota() {
  std::optional<double> quota;
  const auto consider = [&](const std::optional<std::string>& text) {
    if (!text) return;
    const std::optional<double> q = parse_cpu_max(*text);
    if (q && (!quota || *q < *quota)) quota = q;
  };
  for (const std::string& folder : cgroup_folders()) consider(first_line(folder + "/cpu.max"));
  const auto v1_quota = first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  const auto v1_period = first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
  if (v1_quota && v1_period) consider(*v1_quota + " " + *v1_period);
  return quota;
}

int open_lock(int cpu, const std::string& folder) {
  const std::string path = folder + "/resnet-core-" + std::to_string(cpu) + ".lock";
  const int existing = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (existing >= 0) return existing;
  return open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
}

// Holds what take_free_cpus() took; closing a file releases its lock.
std::vector<int>& held_locks() {
  static std::vector<int> locks;
  return locks;
}

// Whether this run now holds the CPU.
bool take(int cpu) {
  int file = open_lock(cpu, "/tmp");
  const char* runtime_folder = std::getenv("XDG_RUNTIME_DIR");
  if (file < 0 && runtime_folder != nullptr) file = open_lock(cpu, runtime_folder);
  if (file < 0) return true;
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return false;
  }
  held_locks().push_back(file);
  return true;
}

}  // namespace

const std::vector<int>& inherited_cpus() { return cpus().ids; }

int available_cores() {
  static const int cores = [] {
    const std::optional<double> quota = cgroup_quota();
    const int physical = cpus().physical_cores;
    return quota ? std::clamp(static_cast<int>(*quota), 1, physical) : physical;
  }();
  return cores;
}

std::vector<int> take_free_cpus(int wanted) {
  for (int file : held_locks()) close(file);
  held_locks().clear();
  std::vector<int> taken;
  for (int cpu : inherited_cpus()) {
    if (static_cast<int>(taken.size()) == wanted) break;
    if (take(cpu)) taken.push_back(cpu);
  }
  return taken;
}

std::optional<double> parse_cpu_max(const std::string& text) {
  std::istringstream in(text);
  double quota_us = 0, period_us = 0;
  if (!(in >> quota_us >> period_us) || quota_us <= 0 || period_us <= 0) return std::nullopt;
  return quota_us / period_us;
}

}  // namespace resnet
