#include "backends/cuda/device.h"

#include "backends/cuda/libraries.h"
#include "backends/cuda/status.h"
#include "resnet/base/error.h"
#include "resnet/base/memory.h"

namespace resnet::cuda {
namespace {

constexpr int kLeastCapability = 80;

int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice) return 0;
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    const auto text = [](int v) {
      return std::to_string(v / 1000) + "." + std::to_string(v % 1000 / 10);
    };
    throw DeviceError("cuda: the NVIDIA driver serves CUDA " + text(driver) +
                      ", this build needs " + text(runtime) +
                      "; update the driver or use --device=cpu");
  }
  check(status, "looking for GPUs");
  return count;
}

// Rounded up.
std::string mib_text(int64_t bytes) {
  return std::to_string((bytes >> 20) + (bytes % (1 << 20) == 0 ? 0 : 1)) + " MiB";
}

void free_device(std::byte* data, int64_t) { cudaFree(data); }
void free_pinned(std::byte* data, int64_t) { cudaFreeHost(data); }

}  // namespace

Device::Device(int index) : index_(index) {
  const int count = device_count();
  if (count == 0) {
    throw DeviceError("cuda: this machine has no GPU that the driver knows; use --device=cpu");
  }
  if (index < 0 || index >= count) {
    throw DeviceError(
        "cuda: there is no GPU number " + std::to_string(index) + "; there " +
        (count == 1 ? "is 1, number 0" : "are " + std::to_string(count) + ", from number 0"));
  }
  select();
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, index), "reading the properties of the GPU");
  name_ = properties.name;
  compute_capability_ = properties.major * 10 + properties.minor;
  multiprocessors_ = properties.multiProcessorCount;
  memory_bytes_ = static_cast<int64_t>(properties.totalGlobalMem);
  if (compute_capability_ < kLeastCapability) {
    throw DeviceError("cuda: " + name_ + " has compute capability " +
                      std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                      ", 8.0 is needed; use --device=cpu");
  }
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  check(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking), "creating a stream");
  libraries_ = make_libraries(*this);
}

Device::~Device() {
  libraries_.reset();
  if (stream_ != nullptr) cudaStreamDestroy(stream_);
  if (copies_ != nullptr) cudaStreamDestroy(copies_);
}

std::string Device::description() const {
  return "GPU " + std::to_string(index_) + ": " + name_ + ", compute capability " +
         std::to_string(compute_capability_ / 10) + "." + std::to_string(compute_capability_ % 10) +
         ", " + std::to_string(multiprocessors_) + " multiprocessors, " +
         std::to_string(memory_bytes_ >> 20) + " MiB, " + libraries_->description();
}

void Device::configure(const BackendOptions& options) {
  select();
  options_ = options;
  libraries_->configure(options);
}

void Device::select() const { check(cudaSetDevice(index_), "selecting the GPU"); }

Buffer Device::allocate(int64_t bytes) const {
  if (bytes <= 0) return {};
  select();
  void* data = nullptr;
  check(cudaMalloc(&data, static_cast<size_t>(bytes)), "allocating " + mib_text(bytes));
  Buffer buffer(static_cast<std::byte*>(data), bytes, MemoryKind::device, free_device);
  check(cudaMemsetAsync(data, 0, static_cast<size_t>(bytes), stream_), "clearing memory");
  return buffer;
}

Buffer Device::allocate_pinned(int64_t bytes) const {
  if (bytes <= 0) return {};
  select();
  void* data = nullptr;
  const std::string what = "allocating " + mib_text(bytes) + " of pinned host memory";
  const cudaError_t status = cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocDefault);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfMemory(
        what + " failed; the machine has " + mib_text(available_memory_bytes()) + " available",
        "use a smaller batch_size with a larger iter_size");
  }
  check(status, what);
  std::fill_n(static_cast<std::byte*>(data), bytes, std::byte{0});
  return {static_cast<std::byte*>(data), bytes, MemoryKind::host, free_pinned};
}

int64_t Device::free_bytes() const {
  select();
  size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "asking for free memory");
  return static_cast<int64_t>(free);
}

void Device::synchronize() const {
  select();
  check(cudaStreamSynchronize(stream_), kEarlierWork);
}

}  // namespace resnet::cuda
