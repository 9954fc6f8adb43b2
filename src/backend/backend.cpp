// What a backend that computes on the host need not define.
#include "resnet/backend/backend.h"

#include <chrono>

#include "resnet/base/memory.h"

namespace resnet {
namespace {

class HostMark final : public Mark {
 public:
  bool reached() override { return true; }
  void wait() override {}
  double seconds_since(const Mark& earlier) override {
    return std::chrono::duration<double>(at_ - dynamic_cast<const HostMark&>(earlier).at_).count();
  }

 private:
  std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now();
};

}  // namespace

int64_t Backend::free_bytes() const { return available_memory_bytes(); }

std::unique_ptr<Mark> Backend::mark() { return std::make_unique<HostMark>(); }

std::unique_ptr<Mark> Backend::upload(const Tensor& dst, const Tensor& src) {
  copy(dst, src);
  return mark();
}

std::unique_ptr<Recording> Backend::record(const std::function<void()>& /*enqueue*/) {
  return nullptr;
}

}  // namespace resnet
