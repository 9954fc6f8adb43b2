#include "backends/cuda/cudnn/engines.h"

#include <cudnn_frontend.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <utility>

#include "backends/cuda/cudnn/cudnn_status.h"
#include "resnet/base/error.h"

namespace resnet::cuda {
namespace {

namespace fe = cudnn_frontend;

constexpr int64_t kInputs[] = {1, 2};  // ids of a and b
constexpr int64_t kOutput = 3;

// Calls f, which uses builders of cudnn-frontend, with their exceptions as DeviceError.
template <class F>
auto building(const char* what, const F& f) {
  try {
    return f();
  } catch (fe::cudnnException& e) {
    throw DeviceError(std::string("cuDNN: ") + what + ": " + e.what() + ": " +
                      reason_of(e.getCudnnStatus()));
  }
}

using Descriptor = fe::ManagedOpaqueDescriptor;

Descriptor new_descriptor(cudnnBackendDescriptorType_t type) {
  Descriptor descriptor = fe::make_shared_backend_pointer(type);
  check(descriptor->get_status(), "creating a descriptor");
  return descriptor;
}
cudnnBackendDescriptor_t raw(const Descriptor& descriptor) {
  return descriptor->get_backend_descriptor();
}
template <class T>
void set(const Descriptor& descriptor, cudnnBackendAttributeName_t name,
         cudnnBackendAttributeType_t type, const T* values, int64_t count, const char* what) {
  check(cudnnBackendSetAttribute(raw(descriptor), name, type, count, values), what);
}
template <class T>
std::vector<T> get(const Descriptor& descriptor, cudnnBackendAttributeName_t name,
                   cudnnBackendAttributeType_t type, int64_t capacity, const char* what) {
  std::vector<T> values(static_cast<size_t>(capacity));
  int64_t count = 0;
  check(cudnnBackendGetAttribute(raw(descriptor), name, type, capacity, &count, values.data()),
        what);
  values.resize(static_cast<size_t>(std::min(count, capacity)));
  return values;
}

// nullptr for the GPU of a handle.
std::shared_ptr<const fe::DeviceProperties> properties(const DeviceFacts& facts) {
  return std::static_pointer_cast<const fe::DeviceProperties>(facts.description());
}
Descriptor descriptor_of(const std::shared_ptr<void>& pointer) {
  return std::static_pointer_cast<Descriptor::element_type>(pointer);
}

cudnnDataType_t data_type(DType type) {
  switch (type) {
    case DType::bf16:
      return CUDNN_DATA_BFLOAT16;
    case DType::f16:
      return CUDNN_DATA_HALF;
    default:
      return CUDNN_DATA_FLOAT;
  }
}

// (N,C,H,W), channels innermost in memory.
fe::Tensor tensor(const TensorDesc& desc, int64_t id) {
  const std::array<int64_t, 4> shape{desc.shape[0], desc.shape[1], desc.shape[2], desc.shape[3]};
  const std::array<int64_t, 4> strides{shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1],
                                       shape[1]};
  return fe::TensorBuilder()
      .setDim(4, shape.data())
      .setStride(4, strides.data())
      .setId(id)
      .setAlignment(16)
      .setDataType(data_type(desc.dtype))
      .build();
}

fe::Operation operation(const OpDesc& desc, bool accumulate) {
  const auto& op = std::get<Convolution>(desc.op);
  const fe::ConvDesc convolution = fe::ConvDescBuilder()
                                       .setComputeType(CUDNN_DATA_FLOAT)
                                       .setMathMode(CUDNN_CROSS_CORRELATION)
                                       .setSpatialDimCount(2)
                                       .setSpatialStride(2, op.stride.data())
                                       .setPrePadding(2, op.pad.data())
                                       .setPostPadding(2, op.pad.data())
                                       .setDilation(2, op.dilation.data())
                                       .build();
  const fe::Tensor a = tensor(desc.in[0], kInputs[0]), b = tensor(desc.in[1], kInputs[1]),
                   out = tensor(desc.out[0], kOutput);
  const float beta = accumulate ? 1.F : 0.F;
  switch (desc.pass) {
    case Pass::backward_data:
      return fe::OperationBuilder(
                 fe::DescriptorType_t::OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR)
          .setdyDesc(a)
          .setwDesc(b)
          .setdxDesc(out)
          .setcDesc(convolution)
          .setAlpha(1.F)
          .setBeta(beta)
          .build();
    case Pass::backward_weights:
      return fe::OperationBuilder(
                 fe::DescriptorType_t::OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR)
          .setxDesc(a)
          .setdyDesc(b)
          .setdwDesc(out)
          .setcDesc(convolution)
          .setAlpha(1.F)
          .setBeta(beta)
          .build();
    default:
      return fe::OperationBuilder(fe::DescriptorType_t::OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR)
          .setxDesc(a)
          .setwDesc(b)
          .setyDesc(out)
          .setcDesc(convolution)
          .setAlpha(1.F)
          .setBeta(beta)
          .build();
  }
}

template <class Note>
bool has(const std::vector<Note>& notes, std::initializer_list<Note> any) {
  return std::find_first_of(notes.begin(), notes.end(), any.begin(), any.end()) != notes.end();
}

// Reads name and notes off an engine with its knobs.
Engine describe(const Descriptor& config) {
  const char* what = "reading an engine";
  const Descriptor engine = new_descriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t target = raw(engine);
  int64_t count = 0;
  check(cudnnBackendGetAttribute(raw(config), CUDNN_ATTR_ENGINECFG_ENGINE,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &target),
        what);
  Engine result;
  result.config = config;
  const auto number =
      get<int64_t>(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, what);
  result.name = "eng" + std::to_string(number.at(0));

  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raws;
  for (int i = 0; i < CUDNN_KNOB_TYPE_COUNTS; ++i) {
    knobs.push_back(new_descriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
    raws.push_back(raw(knobs.back()));
  }
  check(cudnnBackendGetAttribute(raw(config), CUDNN_ATTR_ENGINECFG_KNOB_CHOICES,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, CUDNN_KNOB_TYPE_COUNTS, &count,
                                 raws.data()),
        what);
  for (int64_t i = 0; i < std::min<int64_t>(count, CUDNN_KNOB_TYPE_COUNTS); ++i) {
    const Descriptor& knob = knobs[static_cast<size_t>(i)];
    const auto type = get<cudnnBackendKnobType_t>(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE,
                                                  CUDNN_TYPE_KNOB_TYPE, 1, what);
    const auto value =
        get<int64_t>(knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, what);
    result.name +=
        "_k" + std::to_string(static_cast<int>(type.at(0))) + "=" + std::to_string(value.at(0));
  }

  const auto numerical = get<cudnnBackendNumericalNote_t>(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                          CUDNN_TYPE_NUMERICAL_NOTE,
                                                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, what);
  const auto behaviour = get<cudnnBackendBehaviorNote_t>(engine, CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE,
                                                         CUDNN_TYPE_BEHAVIOR_NOTE,
                                                         CUDNN_BEHAVIOR_NOTE_TYPE_COUNT, what);
  result.tensor_core = has(numerical, {CUDNN_NUMERICAL_NOTE_TENSOR_CORE});
  result.down_convert = has(numerical, {CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS});
  result.short_sums = has(numerical, {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION});
  result.transformed = has(
      numerical, {CUDNN_NUMERICAL_NOTE_FFT, CUDNN_NUMERICAL_NOTE_WINOGRAD,
                  CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6,
                  CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13});
  result.nondeterministic = has(numerical, {CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC});
  result.compiled = has(behaviour, {CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION});
  return result;
}

struct EngineName {
  int64_t number = -1;
  std::vector<std::pair<int, int64_t>> knobs;
};

// The numbers in "eng3_k2=1_k24=0".
std::optional<EngineName> parse(const std::string& name) {
  EngineName result;
  const char* at = name.data();
  const char* const end = at + name.size();
  const auto skip = [&](const std::string& text) {
    if (!std::string_view(at, static_cast<size_t>(end - at)).starts_with(text)) return false;
    at += text.size();
    return true;
  };
  const auto number = [&](auto& value) {
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc();
  };
  if (!skip("eng") || !number(result.number)) return std::nullopt;
  while (at != end) {
    auto& [type, value] = result.knobs.emplace_back();
    if (!skip("_k") || !number(type) || !skip("=") || !number(value)) return std::nullopt;
  }
  return result;
}

}  // namespace

DeviceFacts DeviceFacts::of_handle(void* handle) {
  DeviceFacts result;
  result.handle_ = handle;
  return result;
}

DeviceFacts DeviceFacts::of_json(const std::string& json) {
  auto found = std::make_shared<fe::DeviceProperties>();
  fe::error_t error = found->deserialize({json.begin(), json.end()});
  if (error.is_bad()) throw DeviceError("cuDNN: describing a GPU: " + error.get_message());
  DeviceFacts result;
  result.description_ = std::move(found);
  return result;
}

ConvolutionGraph::ConvolutionGraph(const OpDesc& desc, bool accumulate, const DeviceFacts& device)
    : device_(device) {
  graph_ = building("describing a convolution", [&] {
    const fe::Operation convolution = operation(desc, accumulate);
    std::array<const fe::Operation*, 1> operations{&convolution};
    return std::make_shared<fe::OperationGraph>(
        fe::OperationGraphBuilder()
            .setHandle(static_cast<cudnnHandle_t>(device.handle()))
            .setOperationGraph(1, operations.data())
            .build());
  });
}

std::vector<Engine> ConvolutionGraph::engines() const {
  auto& graph = *static_cast<fe::OperationGraph*>(graph_.get());
  fe::EngineConfigList configs;
  for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
    try {
      auto heuristics = fe::EngineHeuristicsBuilder()
                            .setDeviceProperties(properties(device_))
                            .setOperationGraph(graph)
                            .setHeurMode(mode)
                            .build();
      const auto& found = heuristics.getEngineConfig(heuristics.getEngineConfigCount());
      configs.insert(configs.end(), found.begin(), found.end());
    } catch (fe::cudnnException& e) {
      if (e.getCudnnStatus() < CUDNN_STATUS_NOT_SUPPORTED) {
        throw DeviceError("cuDNN: looking for engines: " + reason_of(e.getCudnnStatus()));
      }
    }
  }
  std::vector<Engine> result;
  std::set<std::string> names;
  for (const Descriptor& config : configs) {
    Engine engine = describe(config);
    if (names.insert(engine.name).second) result.push_back(std::move(engine));
  }
  return result;
}

std::optional<Engine> ConvolutionGraph::engine(const std::string& name) const {
  const std::optional<EngineName> wanted = parse(name);
  if (!wanted) return std::nullopt;
  const auto& graph = *static_cast<fe::OperationGraph*>(graph_.get());
  const char* what = "making an engine";
  try {
    const Descriptor engine = new_descriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
    const cudnnBackendDescriptor_t raw_graph = raw(graph.get_desc());
    set(engine, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw_graph, 1,
        what);
    set(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, &wanted->number, 1, what);
#if CUDNN_VERSION >= 90800
    if (const auto described = properties(device_)) {
      const cudnnBackendDescriptor_t device = described->get_ptr();
      set(engine, CUDNN_ATTR_ENGINE_DEVICEPROP, CUDNN_TYPE_BACKEND_DESCRIPTOR, &device, 1, what);
    }
#endif
    check(cudnnBackendFinalize(raw(engine)), what);

    std::vector<Descriptor> knobs;
    std::vector<cudnnBackendDescriptor_t> raws;
    for (const auto& [number, value] : wanted->knobs) {
      const auto type = static_cast<cudnnBackendKnobType_t>(number);
      knobs.push_back(new_descriptor(CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR));
      set(knobs.back(), CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, &type, 1, what);
      set(knobs.back(), CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, &value, 1, what);
      check(cudnnBackendFinalize(raw(knobs.back())), what);
      raws.push_back(raw(knobs.back()));
    }
    const Descriptor config = new_descriptor(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    const cudnnBackendDescriptor_t raw_engine = raw(engine);
    set(config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, &raw_engine, 1, what);
    if (!raws.empty()) {
      set(config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, raws.data(),
          static_cast<int64_t>(raws.size()), what);
    }
    check(cudnnBackendFinalize(raw(config)), what);
    return describe(config);
  } catch (const DeviceError&) {
    return std::nullopt;
  }
}

std::optional<BuiltEngine> ConvolutionGraph::build(const Engine& engine) const {
  try {
    auto plan = std::make_shared<fe::ExecutionPlan>(
        fe::ExecutionPlanBuilder().setEngineConfig(descriptor_of(engine.config)).build());
    return BuiltEngine{engine.name, plan->getWorkspaceSize(), plan};
  } catch (const fe::cudnnException&) {
    return std::nullopt;
  }
}

void execute(void* handle, const BuiltEngine& engine, const void* a, const void* b, void* out,
             std::byte* workspace) {
  const auto& plan = *static_cast<const fe::ExecutionPlan*>(engine.plan.get());
  std::array<void*, 3> data{const_cast<void*>(a), const_cast<void*>(b), out};
  constexpr std::array<int64_t, 3> kIds{kInputs[0], kInputs[1], kOutput};
  building("running a convolution", [&] {
    const fe::VariantPack pack = fe::VariantPackBuilder()
                                     .setDataPointers(3, data.data())
                                     .setUids(3, kIds.data())
                                     .setWorkspacePointer(workspace)
                                     .build();
    check(cudnnBackendExecute(static_cast<cudnnHandle_t>(handle), plan.get_raw_desc(),
                              pack.get_raw_desc()),
          "running a convolution");
  });
}

}  // namespace resnet::cuda
