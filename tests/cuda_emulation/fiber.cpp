#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(RESNET_EMULATION_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace cuda_emulation {
namespace {

constexpr size_t kPage = 4096, kStackBytes = 256 * 1024;

constinit thread_local Fiber* starting = nullptr;

}  // namespace

#if defined(__x86_64__)

// Stores the stack pointer at *from, after the registers that a function has to keep, and goes on where
// the stack `to` was left.
extern "C" void cuda_emulation_switch(void** from, void* to);
asm(R"(
.text
.hidden cuda_emulation_switch
.globl cuda_emulation_switch
.type cuda_emulation_switch, @function
cuda_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size cuda_emulation_switch, .-cuda_emulation_switch
)");

struct Fiber::Context {
  void* inside = nullptr;
  void* outside = nullptr;

  Context(std::byte* stack, size_t bytes, void (*begin)()) {
    // As if cuda_emulation_switch had been called at the beginning of `begin`: six registers and the
    // address to return to, below a return address for `begin` itself.
    auto** top = reinterpret_cast<void**>(stack + bytes);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(begin);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    inside = top;
  }
  void enter() { cuda_emulation_switch(&outside, inside); }
  void leave() { cuda_emulation_switch(&inside, outside); }
#else

struct Fiber::Context {
  ucontext_t inside, outside;

  Context(std::byte* stack, size_t bytes, void (*begin)()) {
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = bytes;
    inside.uc_link = nullptr;
    makecontext(&inside, begin, 0);
  }
  void enter() { swapcontext(&outside, &inside); }
  void leave() { swapcontext(&inside, &outside); }
#endif

  // What sanitizers have to know.
#if defined(__SANITIZE_ADDRESS__)
  void *inside_fake = nullptr, *outside_fake = nullptr;
  const void* outside_stack = nullptr;
  size_t outside_bytes = 0;
#endif
#if defined(RESNET_EMULATION_TSAN)
  void* tsan_inside = __tsan_create_fiber(0);
  void* tsan_outside = nullptr;
  ~Context() { __tsan_destroy_fiber(tsan_inside); }
#endif
};

Fiber::Fiber(Entry entry, void* argument) : entry_(entry), argument_(argument) {
  void* memory = mmap(nullptr, kPage + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kPage, PROT_NONE);
  stack_ = static_cast<std::byte*>(memory) + kPage;
  context_ = std::make_unique<Context>(stack_, kStackBytes, [] { begin(); });
}

Fiber::~Fiber() { munmap(stack_ - kPage, kPage + kStackBytes); }

void Fiber::begin() {
  Fiber* self = starting;
#if defined(__SANITIZE_ADDRESS__)
  Context& c = *self->context_;
  __sanitizer_finish_switch_fiber(nullptr, &c.outside_stack, &c.outside_bytes);
#endif
  self->entry_(self->argument_);
  std::abort();
}

void Fiber::resume() {
  starting = this;
  Context& c = *context_;
#if defined(RESNET_EMULATION_TSAN)
  c.tsan_outside = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(c.tsan_inside, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&c.outside_fake, stack_, kStackBytes);
#endif
  c.enter();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(c.outside_fake, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
  Context& c = *context_;
#if defined(RESNET_EMULATION_TSAN)
  __tsan_switch_to_fiber(c.tsan_outside, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&c.inside_fake, c.outside_stack, c.outside_bytes);
#endif
  c.leave();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(c.inside_fake, &c.outside_stack, &c.outside_bytes);
#endif
}

}  // namespace cuda_emulation
