#include "classifier/work_thread.h"

namespace resnet {

WorkThread::WorkThread() : thread_([this] { loop(); }) {}

WorkThread::~WorkThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void WorkThread::run(const std::function<void()>& work) {
  Job job{.work = work};
  std::unique_lock lock(mutex_);
  jobs_.push_back(&job);
  asked_.notify_one();
  finished_.wait(lock, [&] { return job.done; });
  lock.unlock();
  if (job.failure) std::rethrow_exception(job.failure);
}

void WorkThread::loop() {
  std::unique_lock lock(mutex_);
  while (true) {
    asked_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job& job = *jobs_.front();
    jobs_.pop_front();
    lock.unlock();
    try {
      job.work();
    } catch (...) {
      job.failure = std::current_exception();
    }
    lock.lock();
    job.done = true;
    finished_.notify_all();
  }
}

}  // namespace resnet
