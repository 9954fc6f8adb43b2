#include "setup.h"

#include <glog/logging.h>

#include <cstdlib>

#include "cli.h"
#include "flags.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

void check_math() {
  if (FLAGS_math == "FLOAT32") return;
  if (FLAGS_math == "BFLOAT16" || FLAGS_math == "FLOAT16") {
    throw DeviceError("--math=" + FLAGS_math +
                      ": the CPU backend computes in float32 only; use --math=FLOAT32");
  }
  throw ConfigError("--math takes FLOAT32, BFLOAT16 or FLOAT16, not '" + FLAGS_math + "'");
}

std::string backend_of_device(const std::string& wanted) {
  const std::string& device = given("device") ? FLAGS_device : wanted;
  if (device == "auto" || device == "cpu") return "cpu";
  if (device == "cuda" || device.starts_with("cuda:")) {
    const std::string asked =
        given("device") ? "--device=" + device : "the solver's solver_mode: GPU";
    throw DeviceError(asked + ": this build has no CUDA backend; use --device=cpu");
  }
  throw ConfigError("--device takes auto, cpu or cuda[:0,1], not '" + device + "'");
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
  check_math();
  const std::string device = backend_of_device(wanted);
  start_threads();
  if (!FLAGS_cuda_libraries.empty()) {
    setenv("RESNET_CUDA_LIBRARIES", FLAGS_cuda_libraries.c_str(), 1);
  }
  std::shared_ptr<Backend> backend = make_backend(FLAGS_backend.empty() ? device : FLAGS_backend);
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
  return options;
}

}  // namespace resnet::cli
