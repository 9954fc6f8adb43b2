#include "memory.h"

#include <sys/mman.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "grid.h"

namespace cuda_emulation {
namespace {

constexpr size_t kPage = 4096, kAlignment = 256, kStrictAlignment = 16;
constexpr int kFreshByte = 0xFF;

size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

struct Allocation {
  size_t bytes;
  std::byte* pages = nullptr;  // strict: the mapping, whose last page is a guard
  size_t mapped = 0;
};

// All of it lives as long as the process: kernels may be destroyed after static objects.
struct Memory {
  std::recursive_mutex mutex;
  std::map<std::byte*, Allocation> allocations;  // by address
  size_t used = 0;
  int open = 0;  // MemoryAccess objects
  struct sigaction previous {};
  bool handles_faults = false;
};

Memory& memory() {
  static auto* const memory = new Memory;
  return *memory;
}

void protect(const Allocation& a, int protection) {
  if (a.pages != nullptr) mprotect(a.pages, a.mapped - kPage, protection);
}

// Says who touched device memory; the access is then repeated and ends the process as usual.
void report_fault(int signal, siginfo_t* info, void*) {
  const auto* at = static_cast<std::byte*>(info->si_addr);
  for (const auto& [address, a] : memory().allocations) {
    if (a.pages == nullptr || at < a.pages || at >= a.pages + a.mapped) continue;
    const std::string thread = running_thread();
    std::fprintf(stderr, "emulated CUDA: %s touches byte %td of an allocation of %zu bytes\n",
                 thread.empty() ? "host code" : thread.c_str(), at - address, a.bytes);
    std::fflush(stderr);
  }
  sigaction(signal, &memory().previous, nullptr);
}

void handle_faults() {
  if (memory().handles_faults) return;
  memory().handles_faults = true;
  struct sigaction action {};
  action.sa_sigaction = report_fault;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &memory().previous);
}

// The allocation that holds the address, or end().
auto find(const void* address) {
  auto& allocations = memory().allocations;
  auto* at = static_cast<std::byte*>(const_cast<void*>(address));
  auto after = allocations.upper_bound(at);
  if (after == allocations.begin()) return allocations.end();
  --after;
  return at < after->first + after->second.bytes ? after : allocations.end();
}

}  // namespace

bool is_strict() {
  const char* text = std::getenv("RESNET_EMULATED_CUDA_STRICT");
  return text != nullptr && std::string(text) != "0";
}

MemoryAccess::MemoryAccess() {
  memory().mutex.lock();
  if (memory().open++ > 0) return;
  for (const auto& [address, a] : memory().allocations) protect(a, PROT_READ | PROT_WRITE);
}

MemoryAccess::~MemoryAccess() {
  if (--memory().open == 0) {
    for (const auto& [address, a] : memory().allocations) protect(a, PROT_NONE);
  }
  memory().mutex.unlock();
}

bool range_is_valid(const void* address, size_t bytes) {
  const std::lock_guard lock(memory().mutex);
  const auto found = find(address);
  if (found == memory().allocations.end()) return true;
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(address) - found->first);
  return bytes <= found->second.bytes - offset;
}

bool is_on_device(const void* address) {
  const std::lock_guard lock(memory().mutex);
  return find(address) != memory().allocations.end();
}

cudaError_t allocate(void** address, size_t bytes) {
  *address = nullptr;
  if (bytes == 0) return cudaSuccess;
  const std::lock_guard lock(memory().mutex);
  if (bytes > memory_bytes() || memory().used > memory_bytes() - bytes) {
    return cudaErrorMemoryAllocation;
  }
  Allocation a{bytes};
  std::byte* data = nullptr;
  if (is_strict()) {
    handle_faults();
    const size_t inside = round_up(bytes, kStrictAlignment);
    a.mapped = round_up(inside, kPage) + kPage;
    void* pages =
        mmap(nullptr, a.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return cudaErrorMemoryAllocation;
    a.pages = static_cast<std::byte*>(pages);
    mprotect(a.pages + a.mapped - kPage, kPage, PROT_NONE);
    data = a.pages + a.mapped - kPage - inside;
  } else {
    data = static_cast<std::byte*>(std::aligned_alloc(kAlignment, round_up(bytes, kAlignment)));
    if (data == nullptr) return cudaErrorMemoryAllocation;
  }
  std::memset(data, kFreshByte, bytes);
  if (memory().open == 0) protect(a, PROT_NONE);
  memory().used += bytes;
  memory().allocations.emplace(data, a);
  *address = data;
  return cudaSuccess;
}

cudaError_t release(void* address) {
  if (address == nullptr) return cudaSuccess;
  const std::lock_guard lock(memory().mutex);
  const auto found = memory().allocations.find(static_cast<std::byte*>(address));
  if (found == memory().allocations.end()) return cudaErrorInvalidValue;
  const Allocation a = found->second;
  memory().allocations.erase(found);
  memory().used -= a.bytes;
  if (a.pages != nullptr) {
    munmap(a.pages, a.mapped);
  } else {
    std::free(address);
  }
  return cudaSuccess;
}

size_t used_bytes() {
  const std::lock_guard lock(memory().mutex);
  return memory().used;
}
size_t memory_bytes() {
  constexpr size_t kDefault = 8192;
  const char* text = std::getenv("RESNET_EMULATED_CUDA_MEMORY_MB");
  return (text == nullptr ? kDefault : std::strtoull(text, nullptr, 10)) << 20;
}

}  // namespace cuda_emulation
