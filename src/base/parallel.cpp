#include "resnet/base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#ifndef RESNET_STD_THREADS
#include <omp.h>
#endif

#include "base/cpus.h"
#include "resnet/base/denormals.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

std::atomic<int> g_threads{0};       // 0: not chosen yet
thread_local bool t_inside = false;  // in a body of parallel_for

int default_threads() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const int n = text == nullptr ? 0 : std::atoi(text);
  return n > 0 ? n : available_cores();
}

// Lets the calling thread run on these CPUs only.
void bind_thread(const std::vector<int>& cpus) {
  const int limit = *std::max_element(cpus.begin(), cpus.end()) + 1;
  cpu_set_t* mask = CPU_ALLOC(limit);
  const size_t size = CPU_ALLOC_SIZE(limit);
  CPU_ZERO_S(size, mask);
  for (int cpu : cpus) CPU_SET_S(cpu, size, mask);
  sched_setaffinity(0, size,
                    mask);  // a refusal leaves the thread where it was, which is only slower
  CPU_FREE(mask);
}

// Where the compute threads belong. Changed by setup_threads() only, between parallel regions.
struct Binding {
  std::vector<int> cpus = {};  // thread t on cpus[t]; empty = on all inherited CPUs
  bool external = false;       // OMP_PROC_BIND or OMP_PLACES decide
  int version = 0;
};
Binding g_binding;
thread_local int t_version = 0;  // of the binding that this thread has applied

// GNU OpenMP ends threads when a library asks for a smaller team and later starts new ones, which
// inherit the CPUs of thread 0. So every thread checks at the start of a region, and with more than
// two threads thread 0 keeps all the CPUs of the team instead of one.
void apply_binding(int t) {
  if (t_version == g_binding.version) return;
  t_version = g_binding.version;
  flush_denormals();
  const std::vector<int>& cpus = g_binding.cpus;
  if (g_binding.external) return;
  if (cpus.empty()) {
    bind_thread(inherited_cpus());
  } else if ((t == 0 && cpus.size() > 2) || t >= static_cast<int>(cpus.size())) {
    bind_thread(cpus);
  } else {
    bind_thread({cpus[static_cast<size_t>(t)]});
  }
}

// Calls f(t) on every thread t of the team of num_threads(); the caller is thread 0. Always the
// whole team: see apply_binding().
template <class F>
void on_team(const F& f) {
  const int n = num_threads();
#ifdef RESNET_STD_THREADS
  std::vector<std::thread> others;
  for (int t = 1; t < n; ++t) {
    others.emplace_back([&f, t] {
      apply_binding(t);
      f(t);
    });
  }
  apply_binding(0);
  f(0);
  for (std::thread& other : others) other.join();
#else
#pragma omp parallel num_threads(n)
  {
    apply_binding(omp_get_thread_num());
    f(omp_get_thread_num());
  }
#endif
}

std::string list_text(const std::vector<int>& numbers) {
  std::string text;
  for (int n : numbers) text += (text.empty() ? "" : ",") + std::to_string(n);
  return text;
}

// The OpenMP setting that decides on binding, as "NAME=value"; empty if there is none.
std::string openmp_binding() {
  for (const char* name : {"OMP_PROC_BIND", "OMP_PLACES"}) {
    if (const char* value = std::getenv(name)) return std::string(name) + "=" + value;
  }
  return "";
}

// Decides where n threads go; says so in `text`.
Binding choose_binding(int n, Bind bind, std::string& text) {
  take_free_cpus(0);
  if (bind == Bind::none) {
    text = "not bound to CPUs, as asked";
    return {};
  }
  if (const std::string setting = openmp_binding(); bind == Bind::automatic && !setting.empty()) {
    text = "bound as " + setting + " says";
    return {{}, true};
  }
  std::vector<int> cpus = inherited_cpus();
  if (n > static_cast<int>(cpus.size())) {
    text = "not bound: more threads than the " + std::to_string(cpus.size()) + " CPUs allowed";
    return {};
  }
  const std::vector<int> free = take_free_cpus(n);
  if (static_cast<int>(free.size()) == n) {
    cpus = free;
  } else if (bind == Bind::automatic) {
    take_free_cpus(0);
    text = "not bound: another resnet run holds the cores (--bind=cores binds nevertheless)";
    return {};
  } else {
    cpus.resize(static_cast<size_t>(n));
  }
  text = "bound to CPU " + list_text(cpus);
  return {cpus};
}

}  // namespace

int num_threads() {
  int n = g_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = default_threads();
    g_threads.store(n, std::memory_order_relaxed);
  }
  return n;
}

void set_num_threads(int n) {
  if (n < 1) throw ConfigError("the number of threads must be positive, got " + std::to_string(n));
  g_threads.store(n, std::memory_order_relaxed);
#ifndef RESNET_STD_THREADS
  omp_set_dynamic(0);
  omp_set_num_threads(n);  // for libraries that open their own parallel regions
#endif
}

Bind parse_bind(const std::string& text) {
  if (text == "auto") return Bind::automatic;
  if (text == "cores") return Bind::cores;
  if (text == "none") return Bind::none;
  throw ConfigError("unknown binding '" + text + "'; use auto, cores or none");
}

std::string setup_threads(int threads, Bind bind) {
  if (threads < 0) {
    throw ConfigError("the number of threads must not be negative, got " + std::to_string(threads));
  }
  const int n = threads == 0 ? default_threads() : threads;
  set_num_threads(n);
  std::string text;
  const int version = g_binding.version + 1;
  g_binding = choose_binding(n, bind, text);
  g_binding.version = version;
  on_team([](int) {});
  return std::to_string(n) + (n == 1 ? " thread " : " threads ") + text;
}

void unbind_thread() { bind_thread(inherited_cpus()); }

void parallel_for(int64_t n, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (n <= 0) return;
  const int64_t parts = std::min<int64_t>(num_threads(), n / std::max<int64_t>(grain, 1));
  if (parts <= 1 || t_inside) {
    body(0, n);
    return;
  }
  std::exception_ptr failure;
  std::mutex mutex;
  on_team([&](int t) {
    if (t >= parts) return;
    t_inside = true;
    try {
      body(n * t / parts, n * (t + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
    t_inside = false;
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace resnet
