#include "data/prefetcher.h"

#include "resnet/base/parallel.h"

namespace resnet {

Prefetcher::Prefetcher(int threads, size_t slots, Prepare prepare)
    : prepare_(std::move(prepare)), slots_(slots) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Prefetcher::work() {
  unbind_thread();  // a new thread has the CPU of the one that started it
  const auto slots = static_cast<int64_t>(slots_.size());
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || started_ < released_ + slots; });
    if (stop_) return;
    const int64_t ticket = started_++;
    const auto slot = static_cast<size_t>(ticket % slots);
    lock.unlock();
    std::exception_ptr error;
    try {
      prepare_(ticket, slot);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slots_[slot] = {true, error};
    changed_.notify_all();
  }
}

size_t Prefetcher::take() {
  std::unique_lock lock(mutex_);
  const size_t slot = static_cast<size_t>(released_) % slots_.size();
  changed_.wait(lock, [&] { return slots_[slot].ready; });
  if (slots_[slot].error) std::rethrow_exception(slots_[slot].error);
  return slot;
}

void Prefetcher::release() {
  {
    const std::lock_guard lock(mutex_);
    slots_[static_cast<size_t>(released_) % slots_.size()].ready = false;
    ++released_;
  }
  changed_.notify_all();
}

}  // namespace resnet
