// Convolutions by cuDNN.
#include <algorithm>
#include <limits>

#include "backends/cuda/convolution_add.h"
#include "backends/cuda/cudnn/handles.h"
#include "backends/cuda/cudnn/selection.h"
#include "backends/cuda/cudnn/timing.h"
#include "backends/cuda/implementation.h"
#include "resnet/base/error.h"

namespace resnet::cuda {
namespace {

constexpr const char* kFamily = "cudnn:";

// What an engine may use of the memory of the GPU.
int64_t workspace_limit(const Device& device) {
  return std::clamp<int64_t>(device.memory_bytes() / 16, 256 << 20, int64_t{2} << 30);
}

// How a desc is computed: by which graph, and what is left to do behind it.
struct Route {
  OpDesc library;           // what cuDNN computes
  bool accumulate = false;  // the engine adds to what is there
  bool convert = false;     // it writes another type, elsewhere
  bool add = false;         // a kernel of ours adds
  bool elsewhere() const { return convert || add; }
  std::string suffix() const {
    return std::string(accumulate ? ",accumulate" : "") + (convert ? ",convert" : "") +
           (add ? ",add" : "");
  }
};

// In the order in which they are tried.
std::vector<Route> routes(const OpDesc& desc) {
  Route route{.library = library_desc(desc)};
  route.convert = route.library.out[0].dtype != desc.out[0].dtype;
  if (!desc.accumulates(0)) return {route};
  Route native = route;
  native.accumulate = true;
  route.add = true;
  if (route.convert) return {route};
  return {native, route};
}

class Plan final : public ConvolutionPlan {
 public:
  Plan(const Device& device, const OpDesc& desc, const Route& route, BuiltEngine engine)
      : handle_(CudnnLibraries::of(device).cudnn()),
        stream_(device.stream()),
        engine_(std::move(engine)),
        out_(desc.out[0]),
        result_(route.library.out[0].dtype),
        elsewhere_(route.elsewhere()),
        add_(route.add),
        impl_(kFamily + engine_.name + route.suffix()) {
    if (elsewhere_) result_at_ = scratch_.take<std::byte>(route.library.out[0].bytes());
    workspace_at_ = scratch_.take<std::byte>(engine_.workspace_bytes);
  }

  std::string impl() const override { return impl_; }
  int64_t scratch_bytes() const override { return scratch_.bytes(); }
  void run(const void* a, const void* b, void* out, std::byte* scratch) const override {
    void* result = elsewhere_ ? scratch + result_at_ : out;
    execute(handle_, engine_, a, b, result, scratch + workspace_at_);
    if (elsewhere_) {
      move_result(stream_, result_, result, out_.dtype, out, out_.count(), add_);
    }
  }

 private:
  cudnnHandle_t handle_;
  cudaStream_t stream_;
  BuiltEngine engine_;
  TensorDesc out_;
  DType result_;
  bool elsewhere_, add_;
  std::string impl_;
  ScratchPlan scratch_;
  int64_t result_at_ = 0, workspace_at_ = 0;
};

// The engine of a name, if it may run.
std::optional<BuiltEngine> named(const ConvolutionGraph& graph, const std::string& name,
                                 const Device& device, const OpDesc& desc) {
  // What was chosen while tuning may run without.
  BackendOptions options = device.options();
  options.tune = true;
  const std::optional<Engine> engine = graph.engine(name);
  if (!engine || !allowed(*engine, desc.in[0].dtype, options)) return std::nullopt;
  auto built = build_some(graph, {*engine}, workspace_limit(device), 1);
  if (built.empty()) return std::nullopt;
  return std::move(built.front());
}

std::optional<BuiltEngine> tuned(const ConvolutionGraph& graph, const Route& route,
                                 const Device& device) {
  const BackendOptions& options = device.options();
  Choices& choices = CudnnLibraries::of(device).choices();
  const std::string key = route.library.str() + route.suffix() +
                          (options.deterministic ? "" : " nondeterministic") +
                          (options.tf32 ? " tf32" : "");
  if (const auto known = choices.find(key)) {
    if (auto engine = named(graph, known->name, device, route.library)) return engine;
  }
  auto engines = build_some(graph, candidates(graph, route.library.in[0].dtype, options),
                            workspace_limit(device), std::numeric_limits<size_t>::max());
  const auto times = time_engines(device, route.library, engines);
  std::optional<size_t> best;
  for (size_t i = 0; i < times.size(); ++i) {
    if (times[i] && (!best || *times[i] < *times[*best])) best = i;
  }
  if (!best) return std::nullopt;
  choices.add(key, {engines[*best].name, *times[*best]});
  return std::move(engines[*best]);
}

std::optional<BuiltEngine> choose(const ConvolutionGraph& graph, const Route& route,
                                  const Device& device) {
  const BackendOptions& options = device.options();
  if (options.tune) {
    try {
      return tuned(graph, route, device);
    } catch (const OutOfMemory& e) {
      if (options.log) options.log(route.library.str() + " is not tuned: " + e.fact());
    }
  }
  auto built = build_some(graph, candidates(graph, route.library.in[0].dtype, options),
                          workspace_limit(device), 1);
  if (built.empty()) return std::nullopt;
  return std::move(built.front());
}

// What an earlier run used, where the options bring it.
std::shared_ptr<const ConvolutionPlan> recorded_plan(const Device& device, const OpDesc& desc) {
  if (device.options().choices.empty()) return nullptr;
  const std::string op =
      std::string(name_of(desc.op)) + " " + name_of(desc.pass) + " " + describe(desc.op);
  const auto names = recorded(device.options().choices, op, desc.in[0].shape.str(), kFamily);
  for (const Route& route : routes(desc)) {
    std::optional<ConvolutionGraph> graph;
    for (const std::string& name : names) {
      const size_t comma = std::min(name.find(','), name.size());
      if (name.substr(comma) != route.suffix()) continue;
      const size_t begin = std::string(kFamily).size();
      if (!graph)
        graph.emplace(route.library, route.accumulate, CudnnLibraries::of(device).facts());
      auto engine = named(*graph, name.substr(begin, comma - begin), device, route.library);
      if (engine) return std::make_shared<Plan>(device, desc, route, std::move(*engine));
    }
  }
  return nullptr;
}

}  // namespace

std::string refuse_convolution(const OpDesc& desc) {
  const auto& op = std::get<Convolution>(desc.op);
  if (op.bias || op.sum || op.relu) return "cuDNN is asked for a convolution without bias and ReLU";
  const DType type = desc.in[0].dtype;
  for (const auto* tensors : {&desc.in, &desc.out}) {
    for (const TensorDesc& t : *tensors) {
      if (t.shape.rank() != 4) return "has " + t.shape.str() + "; cuda takes (N,C,H,W)";
      for (int i = 0; i < 4; ++i) {
        if (t.shape[i] > std::numeric_limits<int32_t>::max()) return "is too large for cuDNN";
      }
    }
  }
  if (std::string reason = refuse_unless_real("its first operand", desc.in[0]); !reason.empty()) {
    return reason;
  }
  if (desc.in[1].dtype != type) {
    return std::string("mixes ") + name_of(type) + " and " + name_of(desc.in[1].dtype);
  }
  const DType result = desc.pass == Pass::backward_weights ? DType::f32 : type;
  if (desc.out[0].dtype != result) {
    return std::string("has a result of type ") + name_of(desc.out[0].dtype) + "; cuda gives " +
           name_of(result);
  }
  return "";
}

std::shared_ptr<const ConvolutionPlan> plan_convolution(const Device& device, const OpDesc& desc) {
  if (auto plan = recorded_plan(device, desc)) return plan;
  for (const Route& route : routes(desc)) {
    const ConvolutionGraph graph(route.library, route.accumulate,
                                 CudnnLibraries::of(device).facts());
    if (auto engine = choose(graph, route, device)) {
      return std::make_shared<Plan>(device, desc, route, std::move(*engine));
    }
  }
  std::string advice;
  if (!device.options().tf32 && desc.in[0].dtype == DType::f32) advice += "TF32, ";
  if (device.options().deterministic) advice += "engines that are not deterministic, ";
  if (!device.options().tune) advice += "tuning (Winograd, FFT), ";
  // Whoever compiles names op and shapes.
  throw DeviceError("cuDNN has no engine for it that runs in " +
                    std::to_string(workspace_limit(device) >> 20) + " MiB" +
                    (advice.empty() ? "" : "; " + advice + "or another type may have one"));
}

}  // namespace resnet::cuda
