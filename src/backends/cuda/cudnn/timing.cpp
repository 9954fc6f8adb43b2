#include "backends/cuda/cudnn/timing.h"

#include <algorithm>
#include <cstring>

#include "backends/cuda/cudnn/handles.h"
#include "backends/cuda/status.h"
#include "resnet/base/error.h"
#include "resnet/base/half.h"

namespace resnet::cuda {
namespace {

constexpr int kWarmUps = 3;
constexpr int kRuns = 9;

class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "creating an event"); }
  ~Event() { cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

template <class T>
void fill(std::vector<std::byte>& bytes) {
  uint32_t state = 1;
  for (size_t at = 0; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    state = state * 1664525U + 1013904223U;
    const auto value = from_float<T>((static_cast<float>(state >> 8) / 16777216.F - 0.5F) * 0.125F);
    std::memcpy(&bytes[at], &value, sizeof value);
  }
}

// Numbers between -1/16 and 1/16 that change from element to element: power, and with it the clock, depends
// on them.
Buffer operand(const Device& device, const TensorDesc& desc) {
  Buffer buffer = device.allocate(desc.bytes());
  std::vector<std::byte> pattern(static_cast<size_t>(std::min<int64_t>(desc.bytes(), 1 << 20)));
  switch (desc.dtype) {
    case DType::bf16:
      fill<bf16>(pattern);
      break;
    case DType::f16:
      fill<f16>(pattern);
      break;
    default:
      fill<float>(pattern);
  }
  for (int64_t at = 0; at < desc.bytes(); at += static_cast<int64_t>(pattern.size())) {
    const auto size = std::min(pattern.size(), static_cast<size_t>(desc.bytes() - at));
    check(cudaMemcpyAsync(buffer.data() + at, pattern.data(), size, cudaMemcpyHostToDevice,
                          device.stream()),
          "filling an operand");
  }
  device.synchronize();  // the pattern goes away
  return buffer;
}

}  // namespace

std::vector<std::optional<double>> time_engines(const Device& device, const OpDesc& desc,
                                                const std::vector<BuiltEngine>& engines) {
  int64_t workspace_bytes = 0;
  for (const BuiltEngine& engine : engines) {
    workspace_bytes = std::max(workspace_bytes, engine.workspace_bytes);
  }
  const Buffer a = operand(device, desc.in[0]), b = operand(device, desc.in[1]),
               out = operand(device, desc.out[0]), workspace = device.allocate(workspace_bytes);
  cudnnHandle_t handle = CudnnLibraries::of(device).cudnn();
  const Event begin, end;
  std::vector<std::optional<double>> times;
  for (const BuiltEngine& engine : engines) {
    std::vector<float> runs;
    try {
      for (int run = 0; run < kWarmUps + kRuns; ++run) {
        check(cudaEventRecord(begin.get(), device.stream()), "recording an event");
        execute(handle, engine, a.data(), b.data(), out.data(), workspace.data());
        check(cudaEventRecord(end.get(), device.stream()), "recording an event");
        check(cudaEventSynchronize(end.get()), "waiting for the GPU");
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()), "reading events");
        if (run >= kWarmUps) runs.push_back(milliseconds);
      }
    } catch (const DeviceError&) {
      device.synchronize();  // throws when the device itself is lost
      times.emplace_back();
      continue;
    }
    std::nth_element(runs.begin(), runs.begin() + kRuns / 2, runs.end());
    times.emplace_back(static_cast<double>(runs[kRuns / 2]) * 1e3);
  }
  return times;
}

}  // namespace resnet::cuda
