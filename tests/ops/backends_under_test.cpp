#include "backends_under_test.h"

#include <algorithm>
#include <filesystem>

#include "resnet/base/error.h"
#include "test_paths.h"

namespace resnet::testing {

bool BackendUnderTest::may_refuse(const Case& c, Pass pass) const {
  const auto listed = [&](const std::string& name) {
    return std::find(exempt.begin(), exempt.end(), name) != exempt.end();
  };
  return listed(c.name) || listed(c.name + ":" + name_of(pass));
}

std::string module_path() { return backend_dir() + "/reference.so"; }

namespace {

struct Gpu {
  std::shared_ptr<Backend> backend;
  std::string obstacle = cuda_obstacle();
  Gpu() {
    if (!obstacle.empty()) return;
    try {
      backend = make_backend("cuda");
    } catch (const DeviceError& e) {
      obstacle = e.what();
    }
  }
};

const Gpu& gpu() {
  static const Gpu gpu;
  return gpu;
}

// Why a backend cannot compute in a type at all, or "".
std::string obstacle(const Backend& backend, DType type) {
  return backend
      .supports(describe_pass(Relu{}, Pass::forward, {{Shape{1, 1}, type, Layout::any()}}))
      .reason;
}

}  // namespace

const std::string& gpu_obstacle() { return gpu().obstacle; }

const std::vector<BackendUnderTest>& backends_under_test() {
  static const std::vector<BackendUnderTest> all = [] {
    const std::vector<std::pair<DType, std::string>> both{{DType::bf16, ""}, {DType::f16, ""}};
    std::vector<BackendUnderTest> backends{
        {"onednn",
         make_backend("onednn"),
         &all_cases(),
         {"bn_add_stride2", "bn_add_stride2_odd", "bn_add_stride1_more", "bn_groups_add_stride3",
          "bn_global_add_stride2", "draw_batch", "draw_batch_mean_image",
          "draw_batch_mean_of_window", "draw_batch_bf16", "normalise", "normalise_grey",
          "normalise_mean_image", "normalise_mean_of_window", "normalise_bf16", "normalise_f16"}},
        {"reference_module", make_backend(module_path()), &small_cases()},
    };
    BackendUnderTest& onednn = backends[0];
    onednn.narrow_types = {{DType::bf16, obstacle(*onednn.backend, DType::bf16)}};
    if (std::filesystem::exists(emulated_cuda_path())) {
      backends.push_back({"cuda", make_backend(emulated_cuda_path()), &all_cases(), {}, both});
    }
    if (gpu().backend) backends.push_back({"cuda_gpu", gpu().backend, &all_cases(), {}, both});
    return backends;
  }();
  return all;
}

const BackendUnderTest& backend_under_test(const std::string& name) {
  for (const BackendUnderTest& b : backends_under_test()) {
    if (b.name == name) return b;
  }
  throw ConfigError("no backend under test is called " + name);
}

}  // namespace resnet::testing
