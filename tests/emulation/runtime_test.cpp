// Memory, streams, events and graphs of the emulated GPU.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

__global__ void add_one(int* values, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) values[i] += 1;
}
__global__ void number(int* values, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) values[i] = i;
}

template <class Kernel, class... Args>
cudaError_t run(cudaStream_t stream, unsigned blocks, Kernel kernel, Args... args) {
  cudaLaunchConfig_t config{};
  config.gridDim = blocks;
  config.blockDim = 64;
  config.stream = stream;
  return cudaLaunchKernelEx(&config, kernel, args...);
}

// Sets a variable of the environment for the length of a scope.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Environment() { unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};
constexpr const char* kStrict = "RESNET_EMULATED_CUDA_STRICT";
constexpr const char* kMemory = "RESNET_EMULATED_CUDA_MEMORY_MB";

class Runtime : public ::testing::Test {
 protected:
  void SetUp() override {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    ASSERT_EQ(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), cudaSuccess);
  }
  void TearDown() override {
    for (void* address : allocated_) EXPECT_EQ(cudaFree(address), cudaSuccess);
    EXPECT_EQ(cudaStreamDestroy(stream_), cudaSuccess);
    cudaGetLastError();
  }

  int* allocate(size_t ints) {
    void* address = nullptr;
    EXPECT_EQ(cudaMalloc(&address, ints * sizeof(int)), cudaSuccess);
    allocated_.push_back(address);
    return static_cast<int*>(address);
  }
  std::vector<int> download(const int* address, size_t ints) {
    std::vector<int> values(ints);
    EXPECT_EQ(
        cudaMemcpyAsync(values.data(), address, ints * sizeof(int), cudaMemcpyDefault, stream_),
        cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
    return values;
  }

  cudaStream_t stream_ = nullptr;
  std::vector<void*> allocated_;
};
using RuntimeDeathTest = Runtime;

TEST_F(Runtime, CopiesAndClears) {
  int* memory = allocate(100);
  EXPECT_EQ(download(memory, 100), std::vector<int>(100, -1));  // nobody may count on zeros
  const std::vector<int> values(50, 7);
  ASSERT_EQ(cudaMemcpyAsync(memory, values.data(), 200, cudaMemcpyHostToDevice, stream_),
            cudaSuccess);
  ASSERT_EQ(cudaMemsetAsync(memory + 50, 0, 200, stream_), cudaSuccess);
  ASSERT_EQ(run(stream_, 2, add_one, memory, 100), cudaSuccess);
  std::vector<int> expected(50, 8);
  expected.resize(100, 1);
  EXPECT_EQ(download(memory, 100), expected);
}

TEST_F(Runtime, RefusesCopiesBeyondTheEnd) {
  int* memory = allocate(10);
  int values[20] = {};
  EXPECT_EQ(cudaMemcpyAsync(memory, values, 44, cudaMemcpyDefault, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(values, memory + 5, 24, cudaMemcpyDefault, stream_),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(values, memory, 8, cudaMemcpyHostToDevice, stream_),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemsetAsync(values, 0, 8, stream_), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(memory + 1), cudaErrorInvalidValue);
}

TEST_F(Runtime, HasAsMuchMemoryAsTheEnvironmentSays) {
  const Environment limit(kMemory, "1");
  size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(total, 1u << 20);
  EXPECT_EQ(free, total);
  allocate(100 << 10);
  void* address = nullptr;
  EXPECT_EQ(cudaMalloc(&address, 700 << 10), cudaErrorMemoryAllocation);
  EXPECT_EQ(address, nullptr);
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  EXPECT_EQ(free, (1u << 20) - (400u << 10));
  allocate(100 << 10);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation");
}

TEST_F(Runtime, ReplaysWhatItCaptured) {
  int* memory = allocate(70);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  ASSERT_EQ(run(stream_, 2, number, memory, 70), cudaSuccess);
  ASSERT_EQ(run(stream_, 1, add_one, memory, 1), cudaSuccess);
  ASSERT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(download(memory, 70), std::vector<int>(70, -1));  // nothing has been done yet
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(cudaMemsetAsync(memory, 0, 280, stream_), cudaSuccess);
    ASSERT_EQ(cudaGraphLaunch(executable, stream_), cudaSuccess);
    const std::vector<int> values = download(memory, 70);
    EXPECT_EQ(values[0], 1);
    EXPECT_EQ(values[69], 69);
  }
  EXPECT_EQ(cudaGraphExecDestroy(executable), cudaSuccess);
}

TEST_F(Runtime, ForbidsCallsDuringCapture) {
  int* memory = allocate(10);
  cudaEvent_t event = nullptr;
  ASSERT_EQ(cudaEventCreate(&event), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(event, stream_), cudaSuccess);
  void* address = nullptr;
  const std::vector<std::function<cudaError_t()>> calls{
      [&] { return cudaMalloc(&address, 16); },
      [&] { return cudaFree(memory); },
      [&] { return cudaHostAlloc(&address, 16, cudaHostAllocDefault); },
      [&] { return cudaStreamSynchronize(stream_); },
      [&] { return cudaDeviceSynchronize(); },
      [&] { return cudaEventQuery(event); },
      [&] { return cudaEventSynchronize(event); },
      [&] { return cudaMemsetAsync(memory, 0, 4, nullptr); },
  };
  for (size_t i = 0; i < calls.size(); ++i) {
    SCOPED_TRACE(i);
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    EXPECT_EQ(calls[i](), cudaErrorStreamCaptureUnsupported);
    EXPECT_EQ(run(stream_, 1, number, memory, 10), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(graph, nullptr);
    EXPECT_EQ(cudaStreamSynchronize(stream_), cudaSuccess);
  }
  EXPECT_EQ(download(memory, 10), std::vector<int>(10, -1));
  EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
}

TEST_F(Runtime, IsolatesCaptures) {
  cudaEvent_t before = nullptr, inside = nullptr;
  cudaStream_t other = nullptr;
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaEventCreate(&before), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&inside), cudaSuccess);
  ASSERT_EQ(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(before, other), cudaSuccess);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream_, before), cudaErrorStreamCaptureIsolation);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaErrorStreamCaptureInvalidated);
  ASSERT_EQ(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  EXPECT_EQ(cudaEventRecord(inside, stream_), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream_, inside), cudaSuccess);
  EXPECT_EQ(cudaStreamEndCapture(stream_, &graph), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(inside), cudaErrorCapturedEvent);
  EXPECT_EQ(cudaEventRecord(inside, stream_), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(inside), cudaSuccess);
  cudaGraphDestroy(graph);
  cudaEventDestroy(before);
  cudaEventDestroy(inside);
  cudaStreamDestroy(other);
}

TEST_F(Runtime, MeasuresTimeBetweenEvents) {
  cudaEvent_t from = nullptr, to = nullptr, untimed = nullptr;
  ASSERT_EQ(cudaEventCreate(&from), cudaSuccess);
  ASSERT_EQ(cudaEventCreate(&to), cudaSuccess);
  ASSERT_EQ(cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(from, stream_), cudaSuccess);
  int* memory = allocate(100000);
  ASSERT_EQ(run(stream_, 1000, number, memory, 64000), cudaSuccess);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, from, to), cudaErrorInvalidResourceHandle);
  ASSERT_EQ(cudaEventRecord(to, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventRecord(untimed, stream_), cudaSuccess);
  ASSERT_EQ(cudaEventElapsedTime(&milliseconds, from, to), cudaSuccess);
  EXPECT_GT(milliseconds, 0);
  EXPECT_LT(milliseconds, 10000);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, from, untimed), cudaErrorInvalidResourceHandle);
  for (cudaEvent_t event : {from, to, untimed}) EXPECT_EQ(cudaEventDestroy(event), cudaSuccess);
}

TEST_F(Runtime, WorksInStrictModeToo) {
  const Environment strict(kStrict, "1");
  int* memory = allocate(64);
  ASSERT_EQ(run(stream_, 1, number, memory, 64), cudaSuccess);
  EXPECT_EQ(download(memory, 64)[63], 63);
}

TEST_F(RuntimeDeathTest, StrictModeHidesDeviceMemoryFromTheHost) {
  const Environment strict(kStrict, "1");
  int* memory = allocate(64);
  ASSERT_EQ(run(stream_, 1, number, memory, 64), cudaSuccess);
  EXPECT_DEATH(memory[3] = 1, "host code touches byte 12 of an allocation of 256 bytes");
}

TEST_F(RuntimeDeathTest, StrictModeFindsAccessesBeyondTheEnd) {
  const Environment strict(kStrict, "1");
  int* memory = allocate(64);
  EXPECT_DEATH(run(stream_, 2, number, memory, 65),
               "thread \\(0,0,0\\) of block \\(1,0,0\\) touches byte 256 of an allocation of 256");
}

__global__ void take_turns(int* last) {
  *last = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
}

TEST_F(Runtime, StrictModeReversesTheOrder) {
  int* last = allocate(1);
  ASSERT_EQ(run(stream_, 3, take_turns, last), cudaSuccess);
  EXPECT_EQ(download(last, 1)[0], 191);
  const Environment strict(kStrict, "1");
  ASSERT_EQ(run(stream_, 3, take_turns, last), cudaSuccess);
  EXPECT_EQ(download(last, 1)[0], 0);
}

}  // namespace
