#include "backends/cuda/libraries.h"

#include "backends/cuda/cudnn/handles.h"
#include "resnet/base/error.h"

namespace resnet::cuda {
namespace {

constexpr size_t kLeastCudnn = 90000;
constexpr int64_t kCublasWorkspace = 32 << 20;  // what cuBLAS recommends for compute capability 9.0

// 91900 -> "9.19.0"
std::string cudnn_version() {
  const size_t v = cudnnGetVersion();
  return std::to_string(v / 10000) + "." + std::to_string(v % 10000 / 100) + "." +
         std::to_string(v % 100);
}

std::string cublas_version(cublasHandle_t handle) {
  int v = 0;
  check(cublasGetVersion(handle, &v), "reading the version");
  return std::to_string(v / 10000) + "." + std::to_string(v % 10000 / 100) + "." +
         std::to_string(v % 100);
}

}  // namespace

void check(cublasStatus_t status, const std::string& what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw DeviceError("cuBLAS: " + what + ": " + cublasGetStatusName(status) + ": " +
                    cublasGetStatusString(status));
}

CudnnLibraries::CudnnLibraries(const Device& device) : device_name_(device.name()) {
  if (cudnnGetVersion() < kLeastCudnn) {
    throw DeviceError("cuda: cuDNN " + cudnn_version() + " is installed, 9.0 or later is needed");
  }
  try {
    check(cudnnCreate(&cudnn_), "starting");
    check(cudnnSetStream(cudnn_, device.stream()), "setting the stream");
    check(cublasCreate(&cublas_), "starting");
    check(cublasSetStream(cublas_, device.stream()), "setting the stream");
    // After the stream, which resets it.
    workspace_ = device.allocate(kCublasWorkspace);
    check(cublasSetWorkspace(cublas_, workspace_.data(), static_cast<size_t>(kCublasWorkspace)),
          "setting the workspace");
    check(cublasSetAtomicsMode(cublas_, CUBLAS_ATOMICS_NOT_ALLOWED), "forbidding atomics");
    facts_ = DeviceFacts::of_handle(cudnn_);
    configure({});
  } catch (...) {
    if (cudnn_ != nullptr) cudnnDestroy(cudnn_);
    if (cublas_ != nullptr) cublasDestroy(cublas_);
    throw;
  }
}

CudnnLibraries::~CudnnLibraries() {
  cublasDestroy(cublas_);
  cudnnDestroy(cudnn_);
}

std::string CudnnLibraries::description() const {
  return "cuDNN " + cudnn_version() + ", cuBLAS " + cublas_version(cublas_);
}

void CudnnLibraries::configure(const BackendOptions& options) {
  // Products of f32 values in f32 unless TF32 is asked for.
  check(
      cublasSetMathMode(cublas_, options.tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_PEDANTIC_MATH),
      "setting the precision");
  std::filesystem::path file;
  if (const auto folder = choices_folder(options.cache_dir); options.tune && !folder.empty()) {
    file = folder / choices_file("cudnn-" + device_name_ + "-" + cudnn_version());
  }
  choices_ = std::make_unique<Choices>(file, options.log);
}

std::unique_ptr<Libraries> make_libraries(const Device& device) {
  return std::make_unique<CudnnLibraries>(device);
}

void gemm(const Device& device, bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k,
          float alpha, const float* a, const float* b, float beta, float* c) {
  if (m == 0 || n == 0) return;
  // cuBLAS is column-major, where a row-major matrix is its transpose: C' = op(B)' op(A)'.
  const auto op = [](bool transpose) { return transpose ? CUBLAS_OP_T : CUBLAS_OP_N; };
  check(cublasSgemm_64(CudnnLibraries::of(device).cublas(), op(transpose_b), op(transpose_a), n, m,
                       k, &alpha, b, transpose_b ? k : n, a, transpose_a ? m : k, &beta, c, n),
        "a product of (" + std::to_string(m) + "," + std::to_string(k) + ") and (" +
            std::to_string(k) + "," + std::to_string(n) + ")");
}

}  // namespace resnet::cuda
