// A stack of its own that a thread of the host switches to and from.
#pragma once

#include <cstddef>
#include <memory>

namespace cuda_emulation {

class Fiber {
 public:
  using Entry = void (*)(void* argument);  // must not return
  Fiber(Entry entry, void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume();   // from outside: runs until suspend()
  void suspend();  // from inside: goes on where resume() was called

 private:
  struct Context;
  [[noreturn]] static void begin();

  Entry entry_;
  void* argument_;
  std::byte* stack_ = nullptr;
  std::unique_ptr<Context> context_;
};

}  // namespace cuda_emulation
