#include "grid.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "fiber.h"

constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim{}, gridDim{};

namespace cuda_emulation {
namespace {

constexpr int kWarp = 32;

enum class State { fresh, running, at_barrier, in_warp, ready, ended };

struct Thread {
  State state = State::fresh;
  Fiber* fiber = nullptr;
  Position position{};  // where it waits
  unsigned mask = 0;    // of lanes that it waits for
  uint64_t bits = 0;    // what it gives, then what it gets
  int source = 0;       // lane that it reads; kVote: it takes part in a vote
};
constexpr int kVote = -1;

std::string text(unsigned x, unsigned y, unsigned z) {
  return "(" + std::to_string(x) + "," + std::to_string(y) + "," + std::to_string(z) + ")";
}
std::string text(Position p) { return std::string(p.file) + ":" + std::to_string(p.line); }
bool same(Position a, Position b) { return a.line == b.line && std::strcmp(a.file, b.file) == 0; }

// Runs one block at a time. Its threads run one after the other on one fiber as long as none waits; a
// thread that waits keeps the fiber, and the others go on with the next one.
class Block {
 public:
  void run(const std::function<void()>& body, bool reverse) {
    body_ = &body;
    reverse_ = reverse;
    count_ = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
    threads_.assign(static_cast<size_t>(count_), Thread{});
    next_fresh_ = ended_ = at_barrier_ = 0;
    while (ended_ < count_) {
      if (!ready_.empty()) {
        const int next = ready_.front();
        ready_.pop_front();
        enter(next);
        threads_[static_cast<size_t>(next)].fiber->resume();
      } else if (next_fresh_ < count_) {
        idle_fiber().resume();
      } else {
        fail_waiting();
      }
    }
    current_ = -1;
  }

  bool active() const { return current_ >= 0; }
  int lane() const { return current_ % kWarp; }

  void wait_for_block(Position position) {
    Thread& self = current();
    for (const Thread& other : threads_) {
      if (other.state != State::at_barrier) continue;
      if (!same(other.position, position)) {
        fail("threads of one block wait at different barriers, " + text(other.position) + " and " +
             text(position));
      }
      break;
    }
    self.position = position;
    if (++at_barrier_ < count_) {
      wait(State::at_barrier);
      return;
    }
    at_barrier_ = 0;
    for (int i = 0; i < count_; ++i) {
      Thread& other = threads_[static_cast<size_t>(i)];
      if (other.state == State::at_barrier) release(i);
    }
  }

  uint64_t wait_for_warp(Position position, unsigned mask, uint64_t bits, int source) {
    Thread& self = current();
    if ((mask >> lane() & 1u) == 0) {
      fail("lane " + std::to_string(lane()) + " is not in its own mask at " + text(position));
    }
    self.position = position;
    self.mask = mask;
    self.bits = bits;
    self.source = source;
    self.state = State::in_warp;
    if (complete_warp(current_)) {
      self.state = State::running;
    } else {
      wait(State::in_warp);
    }
    return self.bits;
  }

 private:
  Thread& current() { return threads_[static_cast<size_t>(current_)]; }

  // Makes `thread` the one that device functions see.
  void enter(int thread) {
    current_ = thread;
    threads_[static_cast<size_t>(thread)].state = State::running;
    const auto i = static_cast<unsigned>(thread);
    threadIdx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / (blockDim.x * blockDim.y)};
  }

  void wait(State state) {
    Thread& self = current();
    self.state = state;
    self.fiber = running_fiber_;
    self.fiber->suspend();
    running_fiber_ = self.fiber;
  }

  void release(int thread) {
    threads_[static_cast<size_t>(thread)].state = State::ready;
    ready_.push_back(thread);
  }

  // Exchanges the values of the lanes that wait for one another, if those that thread `of` waits for are
  // all there; the others get ready.
  bool complete_warp(int of) {
    const int begin = of / kWarp * kWarp, end = std::min(begin + kWarp, count_);
    const Thread& first = threads_[static_cast<size_t>(of)];
    unsigned taking_part = 0, votes = 0;
    for (int i = begin; i < end; ++i) {
      const Thread& t = threads_[static_cast<size_t>(i)];
      if ((first.mask >> (i - begin) & 1u) == 0 || t.state == State::ended) continue;
      if (t.state != State::in_warp) return false;
      if (t.mask != first.mask || !same(t.position, first.position)) {
        fail("lanes of one warp wait for each other at " + text(t.position) + " and " +
             text(first.position) + ", or with different masks");
      }
      taking_part |= 1u << (i - begin);
      votes |= static_cast<unsigned>(t.bits != 0) << (i - begin);
    }
    uint64_t given[kWarp];
    for (int i = begin; i < end; ++i) given[i - begin] = threads_[static_cast<size_t>(i)].bits;
    for (int i = begin; i < end; ++i) {
      if ((taking_part >> (i - begin) & 1u) == 0) continue;
      Thread& t = threads_[static_cast<size_t>(i)];
      if (t.source == kVote) {
        t.bits = votes;
      } else {
        const bool known = t.source >= 0 && t.source < kWarp && (taking_part >> t.source & 1u) != 0;
        t.bits = known ? given[t.source] : ~uint64_t{0};
      }
      if (i != current_) release(i);
    }
    return true;
  }

  // What a fiber does: threads that have not begun, until none is left, again and again.
  void work() {
    Fiber* self = running_fiber_;
    for (;;) {
      while (next_fresh_ < count_) {
        const int next = reverse_ ? count_ - 1 - next_fresh_ : next_fresh_;
        ++next_fresh_;
        enter(next);
        (*body_)();
        current().state = State::ended;
        ++ended_;
        complete_waiting_warp();
      }
      idle_.push_back(self);
      self->suspend();
      running_fiber_ = self;
    }
  }

  // Lanes may have waited for the one that has just ended.
  void complete_waiting_warp() {
    const int begin = current_ / kWarp * kWarp, end = std::min(begin + kWarp, count_);
    for (int i = begin; i < end; ++i) {
      if (threads_[static_cast<size_t>(i)].state == State::in_warp) complete_warp(i);
    }
  }

  Fiber& idle_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(
          std::make_unique<Fiber>([](void* block) { static_cast<Block*>(block)->work(); }, this));
      idle_.push_back(fibers_.back().get());
    }
    running_fiber_ = idle_.back();
    idle_.pop_back();
    return *running_fiber_;
  }

  [[noreturn]] void fail_waiting() {
    for (int i = 0; i < count_; ++i) {
      const Thread& t = threads_[static_cast<size_t>(i)];
      if (t.state == State::ended) continue;
      enter(i);
      fail("waits for ever at " + text(t.position) + ": of " + std::to_string(count_) +
           " threads " + std::to_string(at_barrier_) + " wait at a barrier, " +
           std::to_string(count_ - ended_ - at_barrier_) + " for lanes of their warp, " +
           std::to_string(ended_) + " have ended");
    }
    std::abort();
  }

  [[noreturn]] void fail(const std::string& what) {
    std::fprintf(stderr, "emulated CUDA: %s: %s\n", running_thread().c_str(), what.c_str());
    std::fflush(stderr);
    std::abort();
  }

  const std::function<void()>* body_ = nullptr;
  bool reverse_ = false;
  int count_ = 0, current_ = -1;
  int next_fresh_ = 0;  // threads that have begun
  int ended_ = 0, at_barrier_ = 0;
  std::vector<Thread> threads_;
  std::deque<int> ready_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Fiber* running_fiber_ = nullptr;
};

Block& block() {
  static thread_local Block block;
  return block;
}

}  // namespace

void run_grid(dim3 grid, dim3 block_size, const std::function<void()>& thread, bool reverse) {
  Block& runner = block();
  gridDim = grid;
  blockDim = block_size;
  const int64_t blocks = int64_t{grid.x} * grid.y * grid.z;
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t i = reverse ? blocks - 1 - b : b;
    blockIdx = {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
                static_cast<unsigned>(i / (int64_t{grid.x} * grid.y))};
    runner.run(thread, reverse);
  }
}

std::string running_thread() {
  if (!block().active()) return "";
  return "thread " + text(threadIdx.x, threadIdx.y, threadIdx.z) + " of block " +
         text(blockIdx.x, blockIdx.y, blockIdx.z);
}

int lane() { return block().lane(); }
void wait_for_block(Position position) { block().wait_for_block(position); }
unsigned vote(Position position, unsigned mask, bool predicate) {
  return static_cast<unsigned>(block().wait_for_warp(position, mask, predicate ? 1 : 0, kVote));
}
uint64_t exchange_bits(Position position, unsigned mask, uint64_t bits, int source) {
  return block().wait_for_warp(position, mask, bits, source < 0 ? kWarp : source);
}

}  // namespace cuda_emulation
