#include "backends/cuda/recording.h"

#include <algorithm>

#include "backends/cuda/status.h"
#include "resnet/base/error.h"

namespace resnet::cuda {
namespace {

class EventMark final : public Mark {
 public:
  explicit EventMark(cudaStream_t stream) {
    check(cudaEventCreate(&event_), "creating an event");
    check(cudaEventRecord(event_, stream), "recording an event");
  }
  ~EventMark() override { cudaEventDestroy(event_); }
  EventMark(const EventMark&) = delete;
  EventMark& operator=(const EventMark&) = delete;

  bool reached() override {
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return false;
    check(status, kEarlierWork);
    return true;
  }
  void wait() override { check(cudaEventSynchronize(event_), kEarlierWork); }
  double seconds_since(const Mark& earlier) override {
    const auto& from = dynamic_cast<const EventMark&>(earlier);
    check(cudaEventSynchronize(from.event_), kEarlierWork);
    wait();
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, from.event_, event_), "reading the time of events");
    return static_cast<double>(milliseconds) * 1e-3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class GraphRecording final : public Recording {
 public:
  GraphRecording(const Device& device, cudaGraph_t graph) : device_(device), graph_(graph) {
    const cudaError_t status = cudaGraphInstantiate(&executable_, graph_, 0);
    if (status != cudaSuccess) {
      cudaGraphDestroy(graph_);
      check(status, "instantiating a graph");
    }
  }
  ~GraphRecording() override {
    cudaStreamSynchronize(device_.stream());  // it may still run
    cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
  }
  GraphRecording(const GraphRecording&) = delete;
  GraphRecording& operator=(const GraphRecording&) = delete;

  void run() override {
    device_.select();
    check(cudaGraphLaunch(executable_, device_.stream()), "launching a graph");
  }

 private:
  const Device& device_;
  cudaGraph_t graph_;
  cudaGraphExec_t executable_ = nullptr;
};

cudaEvent_t new_event() {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "creating an event");
  return event;
}

}  // namespace

std::unique_ptr<Mark> make_mark(cudaStream_t stream) { return std::make_unique<EventMark>(stream); }

std::unique_ptr<Recording> make_recording(const Device& device,
                                          const std::function<void()>& enqueue) {
  device.select();
  check(cudaStreamBeginCapture(device.stream(), cudaStreamCaptureModeThreadLocal),
        "beginning a capture");
  cudaGraph_t graph = nullptr;
  try {
    enqueue();
  } catch (...) {
    cudaStreamEndCapture(device.stream(), &graph);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaGetLastError();
    throw;
  }
  check(cudaStreamEndCapture(device.stream(), &graph), "ending a capture");
  return std::make_unique<GraphRecording>(device, graph);
}

Uploads::~Uploads() {
  for (const auto& ring : rings_) {
    for (Area& area : ring->areas) {
      if (area.filled != nullptr) cudaEventDestroy(area.filled);
      if (area.emptied != nullptr) cudaEventDestroy(area.emptied);
    }
  }
}

Uploads::Ring& Uploads::ring_for(const Device& device, std::byte* dst, int64_t bytes) {
  constexpr size_t kRings = 8;  // inputs of the programs in use
  auto found = std::find_if(rings_.begin(), rings_.end(), [&](const auto& ring) {
    return ring->dst == dst && ring->bytes == bytes;
  });
  if (found == rings_.end()) {
    auto ring = std::make_unique<Ring>();
    ring->dst = dst;
    ring->bytes = bytes;
    for (Area& area : ring->areas) {
      area.memory = device.allocate(bytes);
      area.filled = new_event();
      area.emptied = new_event();
    }
    device.synchronize();  // allocate() clears the areas in the order of work, not of copies
    rings_.push_back(std::move(ring));
    found = rings_.end() - 1;
  }
  std::rotate(rings_.begin(), found, found + 1);
  if (rings_.size() > kRings) {
    device.synchronize();
    check(cudaStreamSynchronize(device.copies()), "waiting for copies");
    for (Area& area : rings_.back()->areas) {
      cudaEventDestroy(area.filled);
      cudaEventDestroy(area.emptied);
    }
    rings_.pop_back();
  }
  return *rings_.front();
}

std::unique_ptr<Mark> Uploads::upload(const Device& device, std::byte* dst, const std::byte* src,
                                      int64_t bytes) {
  device.select();
  const char* what = "copying to the GPU";
  if (bytes > 0) {
    Ring& ring = ring_for(device, dst, bytes);
    Area& area = ring.areas[ring.next];
    ring.next ^= 1;
    const auto size = static_cast<size_t>(bytes);
    check(cudaStreamWaitEvent(device.copies(), area.emptied, 0), what);
    check(cudaMemcpyAsync(area.memory.data(), src, size, cudaMemcpyHostToDevice, device.copies()),
          what);
    check(cudaEventRecord(area.filled, device.copies()), what);
    check(cudaStreamWaitEvent(device.stream(), area.filled, 0), what);
    check(cudaMemcpyAsync(dst, area.memory.data(), size, cudaMemcpyDeviceToDevice, device.stream()),
          what);
    check(cudaEventRecord(area.emptied, device.stream()), what);
  }
  return make_mark(device.copies());
}

}  // namespace resnet::cuda
