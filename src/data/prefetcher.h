// Work done ahead of its consumer by a few threads.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace resnet {

// Calls prepare(ticket, slot) for the tickets 0, 1, 2, .. on its threads, in any order, with slot =
// ticket % slots, at most `slots` tickets ahead of the consumer, who takes them in order. One
// consumer.
class Prefetcher {
 public:
  using Prepare = std::function<void(int64_t ticket, size_t slot)>;
  Prefetcher(int threads, size_t slots, Prepare prepare);
  ~Prefetcher();  // waits for calls in progress

  // Waits for the next ticket and returns its slot, or throws what its prepare() threw; then the
  // ticket stays the next one. The slot is the consumer's until release().
  size_t take();
  void release();

 private:
  void work();

  Prepare prepare_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stop_ = false;
  int64_t started_ = 0;   // tickets given to threads
  int64_t released_ = 0;  // tickets that the consumer is done with
  struct Slot {
    bool ready = false;
    std::exception_ptr error;
  };
  std::vector<Slot> slots_;
  std::vector<std::thread> threads_;
};

}  // namespace resnet
