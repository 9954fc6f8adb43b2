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

}  // namespace

const std::string& gpu_obstacle() { return gpu().obstacle; }

const std::vector<BackendUnderTest>& backends_under_test() {
  static const std::vector<BackendUnderTest> all = [] {
    std::vector<BackendUnderTest> backends{
        {"onednn",
         make_backend("onednn"),
         &all_cases(),
         {"bn_add_stride2", "bn_add_stride2_odd", "bn_add_stride1_more", "bn_groups_add_stride3",
          "bn_global_add_stride2", "draw_batch", "draw_batch_mean_image",
          "draw_batch_mean_of_window"}},
        {"reference_module", make_backend(module_path()), &small_cases()},
    };
    if (std::filesystem::exists(emulated_cuda_path())) {
      backends.push_back({"cuda", make_backend(emulated_cuda_path()), &all_cases()});
    }
    if (gpu().backend) backends.push_back({"cuda_gpu", gpu().backend, &all_cases()});
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
