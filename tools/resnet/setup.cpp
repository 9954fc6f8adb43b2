#include "setup.h"

#include <glog/logging.h>

#include <cstdlib>

#include "cli.h"
#include "flags.h"
#include "resnet/backends/device.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

DType math_of_flag() {
  const std::optional<DType> math = math_type(FLAGS_math);
  if (!math) {
    throw ConfigError("--math takes FLOAT32, BFLOAT16 or FLOAT16, not '" + FLAGS_math + "'");
  }
  return *math;
}

std::shared_ptr<Backend> open_wanted(const std::string& wanted) {
  const std::string& device = given("device") ? FLAGS_device : wanted;
  if (device == "auto" || device == "cpu") return open_device(device);
  if (device != "cuda" && !device.starts_with("cuda:")) {
    throw ConfigError("--device takes auto, cpu or cuda[:N], not '" + device + "'");
  }
  if (device.find(',') != std::string::npos) {
    throw ConfigError("--device=" + device + " names several GPUs; name one");
  }
  try {
    return make_backend(device);
  } catch (const DeviceError& e) {
    throw DeviceError((given("device") ? "--device=" + device : "the solver's solver_mode: GPU") +
                      ": " + e.what());
  }
}

}  // namespace

std::string device_of(const SolverParameter& param) {
  if (!param.has_solver_mode()) return "auto";
  if (param.solver_mode() == SolverParameter::CPU) return "cpu";
  return "cuda:" + std::to_string(param.device_id());
}

void start_threads() {
  const Bind bind = parse_bind(FLAGS_bind);
  if (FLAGS_threads < 0) throw ConfigError("--threads takes a number from 0, not a negative one");
  if (FLAGS_loader_threads < 0) {
    throw ConfigError("--loader_threads takes a number from 0, not a negative one");
  }
  LOG(INFO) << setup_threads(FLAGS_threads, bind);
}

std::shared_ptr<Backend> open_backend(const std::string& wanted, std::vector<std::string> choices) {
  const DType math = math_of_flag();
  start_threads();
  if (!FLAGS_cuda_libraries.empty()) {
    setenv("RESNET_CUDA_LIBRARIES", FLAGS_cuda_libraries.c_str(), 1);
  }
  std::shared_ptr<Backend> backend =
      FLAGS_backend.empty() ? open_wanted(wanted) : make_backend(FLAGS_backend);
  if (const std::string obstacle = math_obstacle(math, *backend); !obstacle.empty()) {
    throw DeviceError("--math=" + FLAGS_math + " (or the solver's math): " + obstacle +
                      "; use --math=FLOAT32");
  }
  BackendOptions options;
  options.tune = FLAGS_tune;
  options.deterministic = FLAGS_deterministic;
  options.tf32 = FLAGS_tf32;
  options.choices = std::move(choices);
  options.log = [](const std::string& line) { LOG(INFO) << line; };
  backend->configure(options);
  return backend;
}

PlanOptions plan_options() {
  if (FLAGS_memory_budget < 0) throw ConfigError("--memory_budget takes a number of MiB, or 0");
  PlanOptions options;
  options.fuse = FLAGS_fuse;
  options.reuse = FLAGS_reuse;
  options.layouts = FLAGS_layouts;
  options.memory_budget_bytes = FLAGS_memory_budget << 20;
  options.math = math_of_flag();
  return options;
}

}  // namespace resnet::cli
