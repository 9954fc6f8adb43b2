// Devices, streams, events and graphs. Work is done when it is enqueued, or kept while its stream captures.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "grid.h"
#include "memory.h"

namespace cuda_emulation {

struct Graph {
  std::vector<std::function<void()>> work;
};

struct Stream {
  Graph* capture = nullptr;
  bool invalidated = false;  // the capture
};

struct Event {
  bool timed = true;
  bool recorded = false;
  Stream* captured = nullptr;  // its last record is part of the capture of this stream
  std::chrono::steady_clock::time_point time;
};

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kVersion = 13000;
constexpr int kMultiprocessors = 132;
constexpr unsigned kMostThreads = 1024, kMostZ = 64, kMostBlocks = 0x7FFFFFFF,
                   kMostBlocksYZ = 65535;

thread_local cudaError_t last_error = cudaSuccess;
thread_local Stream* capturing = nullptr;  // by this thread

cudaError_t fail(cudaError_t error) {
  last_error = error;
  return error;
}
cudaError_t result(cudaError_t error) { return error == cudaSuccess ? error : fail(error); }

// A call that a thread must not make while it captures: that ends the capture.
cudaError_t forbidden_in_capture() {
  if (capturing == nullptr) return cudaSuccess;
  capturing->invalidated = true;
  return fail(cudaErrorStreamCaptureUnsupported);
}

Stream& stream_of(cudaStream_t stream) {
  static Stream* const legacy = new Stream;
  return stream == nullptr ? *legacy : *stream;
}

}  // namespace

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
  Stream& s = stream_of(stream);
  if (s.capture != nullptr) {
    if (s.invalidated) return fail(cudaErrorStreamCaptureInvalidated);
    s.capture->work.push_back(std::move(work));
    return cudaSuccess;
  }
  // The legacy stream waits for all others, which is impossible for one that captures.
  if (stream == nullptr && capturing != nullptr) return forbidden_in_capture();
  const MemoryAccess access;
  work();
  return cudaSuccess;
}

cudaError_t launch(const cudaLaunchConfig_t& config, std::function<void()> thread) {
  const dim3 grid = config.gridDim, block = config.blockDim;
  const uint64_t threads = uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kMostThreads || block.z > kMostZ || grid.x == 0 || grid.y == 0 ||
      grid.z == 0 || grid.x > kMostBlocks || grid.y > kMostBlocksYZ || grid.z > kMostBlocksYZ) {
    return fail(cudaErrorInvalidConfiguration);
  }
  if (config.dynamicSmemBytes != 0 || config.numAttrs != 0) return fail(cudaErrorInvalidValue);
  return enqueue(config.stream,
                 [=, thread = std::move(thread)] { run_grid(grid, block, thread, is_strict()); });
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

// --- Errors -------------------------------------------------------------------------------------------

namespace {

struct ErrorText {
  cudaError_t error;
  const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration",
     "invalid configuration argument"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorIllegalState, "cudaErrorIllegalState",
     "the operation cannot be performed in the present state"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorStreamCaptureUnsupported, "cudaErrorStreamCaptureUnsupported",
     "operation not permitted when stream is capturing"},
    {cudaErrorStreamCaptureInvalidated, "cudaErrorStreamCaptureInvalidated",
     "operation failed due to a previous error during capture"},
    {cudaErrorStreamCaptureIsolation, "cudaErrorStreamCaptureIsolation",
     "dependency created on uncaptured work in another stream"},
    {cudaErrorCapturedEvent, "cudaErrorCapturedEvent",
     "operation not permitted on an event last recorded in a capturing stream"},
};
const ErrorText& described(cudaError_t error) {
  for (const ErrorText& e : kErrors) {
    if (e.error == error) return e;
  }
  std::abort();
}

}  // namespace

const char* cudaGetErrorName(cudaError_t error) { return described(error).name; }
const char* cudaGetErrorString(cudaError_t error) { return described(error).text; }
cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }

// --- Devices and memory -------------------------------------------------------------------------------

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return fail(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated GPU");
  properties->totalGlobalMem = memory_bytes();
  properties->major = 9;
  properties->multiProcessorCount = kMultiprocessors;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : fail(cudaErrorInvalidDevice);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = kVersion;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaMalloc(void** address, size_t bytes) {
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  return result(allocate(address, bytes));
}

cudaError_t cudaFree(void* address) {
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  return result(release(address));
}

cudaError_t cudaHostAlloc(void** address, size_t bytes, unsigned) {
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  constexpr size_t kPage = 4096;
  *address = std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage);
  return *address == nullptr ? fail(cudaErrorMemoryAllocation) : cudaSuccess;
}

cudaError_t cudaFreeHost(void* address) {
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  std::free(address);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = memory_bytes();
  *free = *total - std::min(*total, used_bytes());
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  const bool misplaced = kind != cudaMemcpyDefault &&
                         (to_device != is_on_device(dst) || from_device != is_on_device(src));
  if (bytes > 0 && (misplaced || !range_is_valid(dst, bytes) || !range_is_valid(src, bytes))) {
    return fail(cudaErrorInvalidValue);
  }
  return enqueue(stream, [=] { std::memmove(dst, src, bytes); });
}

cudaError_t cudaMemsetAsync(void* dst, int value, size_t bytes, cudaStream_t stream) {
  if (bytes > 0 && (!is_on_device(dst) || !range_is_valid(dst, bytes))) {
    return fail(cudaErrorInvalidValue);
  }
  return enqueue(stream, [=] { std::memset(dst, value, bytes); });
}

// --- Streams ------------------------------------------------------------------------------------------

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (stream == nullptr) return fail(cudaErrorInvalidResourceHandle);
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t) { return forbidden_in_capture(); }
cudaError_t cudaDeviceSynchronize() { return forbidden_in_capture(); }

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  Stream& s = stream_of(stream);
  if (event->captured != nullptr && event->captured != &s) {  // would spread the capture
    return forbidden_in_capture() == cudaSuccess ? fail(cudaErrorStreamCaptureIsolation)
                                                 : cudaErrorStreamCaptureUnsupported;
  }
  if (s.capture != nullptr && event->recorded && event->captured == nullptr) {
    s.invalidated = true;
    return fail(cudaErrorStreamCaptureIsolation);
  }
  return cudaSuccess;  // all work before it is done, or stands before it in the graph
}

// --- Events -------------------------------------------------------------------------------------------

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new Event;
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return fail(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  Stream& s = stream_of(stream);
  if (s.capture != nullptr) event->captured = &s;
  if (s.capture == nullptr) event->captured = nullptr;
  // Captured, it is a mark inside of the graph and no point in time.
  if (s.capture != nullptr)
    return s.invalidated ? fail(cudaErrorStreamCaptureInvalidated) : cudaSuccess;
  return enqueue(stream, [event] {
    event->recorded = true;
    event->time = Clock::now();
  });
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  return event->captured != nullptr ? fail(cudaErrorCapturedEvent) : cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return cudaEventQuery(event); }

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (from->captured != nullptr || to->captured != nullptr) return fail(cudaErrorCapturedEvent);
  if (!from->timed || !to->timed || !from->recorded || !to->recorded) {
    return fail(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}

// --- Graphs -------------------------------------------------------------------------------------------

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream == nullptr || mode != cudaStreamCaptureModeThreadLocal) {
    return fail(cudaErrorStreamCaptureUnsupported);
  }
  if (stream->capture != nullptr || capturing != nullptr) return fail(cudaErrorIllegalState);
  stream->capture = new Graph;
  stream->invalidated = false;
  capturing = stream;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream == nullptr || stream->capture == nullptr || capturing != stream) {
    return fail(cudaErrorIllegalState);
  }
  capturing = nullptr;
  Graph* captured = std::exchange(stream->capture, nullptr);
  if (stream->invalidated) {
    delete captured;
    return fail(cudaErrorStreamCaptureInvalidated);
  }
  *graph = captured;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (graph == nullptr) return fail(cudaErrorInvalidValue);
  if (forbidden_in_capture() != cudaSuccess) return cudaErrorStreamCaptureUnsupported;
  *executable = new Graph(*graph);
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (executable == nullptr) return fail(cudaErrorInvalidValue);
  // The graph may be destroyed before a graph that contains it runs.
  return enqueue(stream, [work = executable->work] {
    for (const auto& item : work) item();
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (graph == nullptr) return fail(cudaErrorInvalidValue);
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  return cudaGraphDestroy(executable);
}
