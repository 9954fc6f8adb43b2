// A thread that does what others ask for, one thing after the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

namespace resnet {

class WorkThread {
 public:
  WorkThread();
  ~WorkThread();  // no run() may be under way
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  // Has `work` done after everything that was asked for before, and returns when it is; throws what it
  // throws. From any thread but this one.
  void run(const std::function<void()>& work);

 private:
  struct Job {
    const std::function<void()>& work;
    std::exception_ptr failure{};
    bool done = false;
  };
  void loop();

  std::mutex mutex_;
  std::condition_variable asked_, finished_;
  std::deque<Job*> jobs_;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace resnet
