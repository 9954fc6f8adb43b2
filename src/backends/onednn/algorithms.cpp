#include "backends/onednn/algorithms.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "resnet/base/error.h"

namespace resnet::onednn {
namespace {

constexpr int kWarmUps = 2;
constexpr size_t kRuns = 5;

// What the line of this op in a snapshot begins with.
std::string recorded_key(const OpDesc& desc) {
  return std::string(name_of(desc.op)) + " " + name_of(desc.pass) + " " + describe(desc.op) + " " +
         desc.in[0].shape.str();
}

// The same with all operands: a gradient's shape does not tell the channels behind the convolution.
std::string full_key(const OpDesc& desc) {
  std::string key =
      std::string(name_of(desc.op)) + " " + name_of(desc.pass) + " " + describe(desc.op);
  for (const TensorDesc& t : desc.in) key += " " + t.shape.str();
  return key + " -> " + desc.out[0].shape.str();
}

// What earlier runs used, if that is one algorithm. (Lines may differ by channels that they do not name;
// those of a tuned run do not, see `decided_`, and for other runs the rule gives the same again.)
std::optional<Algorithm> recorded_algorithm(const std::vector<std::string>& lines,
                                            const OpDesc& desc) {
  std::optional<Algorithm> found;
  for (const std::string& name : recorded(lines, recorded_key(desc))) {
    const std::optional<Algorithm> algorithm = algorithm_of(name);
    if (!algorithm) continue;
    if (found && *found != *algorithm) return std::nullopt;
    found = algorithm;
  }
  return found;
}

// src or its gradient, and dst or its gradient.
const TensorDesc& source(const OpDesc& desc) {
  return desc.pass == Pass::backward_data ? desc.out[0] : desc.in[0];
}
const TensorDesc& result(const OpDesc& desc) {
  if (desc.pass == Pass::forward) return desc.out[0];
  return desc.in[desc.pass == Pass::backward_data ? 0 : 1];
}

}  // namespace

bool may_use_winograd(const OpDesc& desc) {
  const auto& op = std::get<Convolution>(desc.op);
  const Pair ones{1, 1}, threes{3, 3};
  return source(desc).dtype == DType::f32 && preferred_block() == 16 && op.kernel == threes &&
         op.stride == ones && op.dilation == ones && op.groups == 1;
}

Algorithm algorithm_by_rule(const OpDesc& desc) {
  const auto& op = std::get<Convolution>(desc.op);
  const Shape &src = source(desc).shape, &dst = result(desc).shape;
  if (!may_use_winograd(desc) || op.pad != Pair{1, 1}) return Algorithm::direct;
  if (src[1] % 16 != 0 || dst[1] % 16 != 0) return Algorithm::direct;
  const int64_t channels = std::min(src[1], dst[1]);
  const int64_t least = desc.pass == Pass::backward_weights ? 64 : 32;
  // Weights take long to transform where there are few 4x4 tiles, unless that is done once.
  const int64_t tiles = dst[0] * ((dst[2] + 3) / 4) * ((dst[3] + 3) / 4);
  const bool enough = op.fixed_weights ? channels >= 32 : channels >= least && tiles >= 48;
  return enough ? Algorithm::winograd : Algorithm::direct;
}

std::optional<Algorithm> algorithm_of(const std::string& impl) {
  if (impl.starts_with("jit_wino")) return Algorithm::winograd;
  if (impl.starts_with("jit") || impl.starts_with("brg")) return Algorithm::direct;
  return std::nullopt;
}

Algorithms::Algorithms() { configure({}); }

void Algorithms::configure(const BackendOptions& options) {
  options_ = options;
  decided_.clear();
  std::filesystem::path file;
  if (const auto folder = choices_folder(options.cache_dir); options.tune && !folder.empty()) {
    file = folder / choices_file("onednn-" + library_version() + "-" + library_isa() + "-" +
                                 std::to_string(num_threads()) + "threads");
  }
  choices_ = std::make_unique<Choices>(file, options.log);
}

Implementation Algorithms::choose(const OpDesc& desc, Layouts& layouts, const With& with) {
  const auto direct = [&] { return *with(Algorithm::direct); };
  if (!may_use_winograd(desc)) return direct();
  std::optional<Algorithm> wanted = recorded_algorithm(options_.choices, desc);
  if (!wanted && !options_.tune) wanted = algorithm_by_rule(desc);
  if (wanted == Algorithm::direct) return direct();
  std::optional<Implementation> winograd = with(Algorithm::winograd);
  if (!winograd || !winograd->refusal.empty()) return direct();
  if (wanted) return std::move(*winograd);
  Implementation other = direct();
  wanted = tuned(desc, layouts, other, *winograd);
  if (!wanted) wanted = algorithm_by_rule(desc);
  return *wanted == Algorithm::winograd ? std::move(*winograd) : std::move(other);
}

std::optional<Algorithm> Algorithms::tuned(const OpDesc& desc, Layouts& layouts,
                                           const Implementation& direct,
                                           const Implementation& winograd) {
  const std::lock_guard lock(mutex_);  // one measurement at a time
  const std::string line = recorded_key(desc), key = full_key(desc);
  if (const auto found = decided_.find(line); found != decided_.end()) return found->second;
  std::optional<Algorithm> best;
  if (const auto known = choices_->find(key)) best = algorithm_of(known->name);
  if (!best) {
    try {
      std::optional<Choice> fastest;
      for (const Implementation* candidate : {&direct, &winograd}) {
        const std::shared_ptr<const Kernel> kernel = candidate->make();
        const double time = time_kernel(*kernel, candidate->desc, layouts);
        if (!fastest || time < fastest->microseconds) fastest = Choice{kernel->impl(), time};
      }
      best = algorithm_of(fastest->name);
      choices_->add(key, *fastest);
    } catch (const OutOfMemory& e) {
      if (options_.log) options_.log(desc.str() + " is not tuned: " + e.fact());
      best = algorithm_by_rule(desc);
    }
  }
  if (best) decided_[line] = *best;
  return best;
}

double time_kernel(const Kernel& kernel, const OpDesc& desc, const Layouts& layouts) {
  std::vector<Buffer> buffers;
  const auto tensors = [&](const std::vector<TensorDesc>& descs) {
    std::vector<Tensor> made;
    for (const TensorDesc& t : descs) {
      buffers.push_back(host_buffer(layouts.bytes(t)));
      made.push_back(buffers.back().view(t));
    }
    return made;
  };
  const std::vector<Tensor> in = tensors(desc.in), out = tensors(desc.out);
  for (const Tensor& t : in) {
    parallel_flat(layouts.bytes(t.desc) / size_of(DType::f32), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        t.as<float>()[i] = static_cast<float>((i * 37 + 11) % 251 - 125) / 512.0f;
      }
    });
  }
  const Buffer scratch = host_buffer(kernel.scratch_bytes());
  const KernelArgs args{in, out, scratch.data()};
  for (int i = 0; i < kWarmUps; ++i) kernel.run(args);
  std::array<double, kRuns> times{};
  for (double& time : times) {
    const auto begin = std::chrono::steady_clock::now();
    kernel.run(args);
    time =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }
  std::sort(times.begin(), times.end());
  return times[kRuns / 2];
}

}  // namespace resnet::onednn
