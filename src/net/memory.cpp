// What programs need of memory, and what to say when it is not there.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <limits>
#include <numeric>

#include "net/fit.h"
#include "net/impl.h"

namespace resnet {
namespace {

constexpr int kShownTensors = 5;

std::string mib(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

// What a plan may take of so much memory: allocations are rounded, and code and graphs of the device come
// later.
int64_t usable(int64_t bytes) { return bytes - bytes / 32; }

}  // namespace

Program Net::Impl::plan_for(const SessionRequest& request, bool compile, PlanContext& of) const {
  Graph graph = build(request.phase, shapes_for(request.phase, request.batch, request.shapes));
  const PlanOptions plan_with = plan_options(request);
  return compile ? plan(std::move(graph), plan_with, of)
                 : plan_memory(std::move(graph), plan_with, of);
}

// Of a new net that runs these programs.
int64_t Net::Impl::needed_bytes(std::vector<SessionRequest> requests, int64_t iter_size,
                                bool scratch) const {
  // Training chooses the storage of parameters.
  std::stable_sort(requests.begin(), requests.end(), [](const auto& a, const auto& b) {
    return a.phase == TRAIN && b.phase != TRAIN;
  });
  PlanContext of{.backend = context.backend, .parameters = {}, .kernels = context.kernels};
  int64_t bytes = 0, arena = 0, metrics_bytes = 0;
  std::map<std::string, int64_t> derived_bytes;  // by recipe
  for (const SessionRequest& request : requests) {
    const Program program = plan_for(request, scratch, of);
    arena = std::max(arena, program.arena_bytes + program.scratch_bytes);
    metrics_bytes = std::max(metrics_bytes, program.metrics_count * size_of(options.dtype));
    bytes += program.persistent_bytes;
    for (const auto& [value, recipe] : program.recipes) {
      derived_bytes[recipe] = program.placement[static_cast<size_t>(value)].bytes;
    }
    int64_t inputs = 0;
    for (const Input& input : program.graph.inputs) {
      const TensorDesc& desc = program.graph.value(input.value).desc;
      inputs += desc.bytes() * program.options.shards;
      if (!on_device()) continue;
      // As floats, the most that may arrive.
      const TensorDesc plain{.shape = desc.shape, .dtype = options.dtype, .layout = Layout::nchw()};
      const int64_t arriving = plain.bytes() * program.options.shards;
      inputs += (plain == desc ? 0 : arriving) + backend->upload_bytes(arriving);
    }
    bytes += request.phase == TRAIN ? inputs : 2 * inputs;  // a test's last batch may be short
  }
  ParameterStore parameter_store;
  place(parameter_store, of);
  bytes += parameter_store.placed_bytes();
  if (requests.front().phase == TRAIN) {
    const auto shards = static_cast<uint64_t>(options.plan.shards);
    if (iter_size > 1) bytes += parameter_store.gradient_bytes();
    if (scratch) {  // of what runs over all gradients after a program; their norm stands for it
      const TensorDesc gradients{
          .shape = {parameter_store.gradient_bytes() / size_of(options.dtype)},
          .dtype = options.dtype,
          .layout = Layout::nchw()};
      const TensorDesc norm{.shape = {1}, .dtype = DType::f64, .layout = Layout::nchw()};
      bytes += of.compile({.op = SquaredNorm{}, .in = {gradients}, .out = {norm}, .accumulate = {}})
                   ->scratch_bytes();
    }
    bytes += std::bit_width(shards - 1) * parameter_store.partial_bytes();  // push_partial()
  }
  int64_t parameter = 0;  // on its way to or from the host
  for (const Parameter& p : parameters) {
    parameter = std::max(parameter, p.shape.count() * size_of(options.dtype));
  }
  for (const auto& [recipe, one] : derived_bytes) bytes += one;
  return bytes + arena + metrics_bytes + parameter;
}

int64_t Net::needed_bytes(int64_t train_batch, int64_t test_batch) const {
  const Impl& s = *impl_;
  std::vector<SessionRequest> requests;
  if (s.train_phase) requests.push_back({.phase = TRAIN, .batch = train_batch});
  if (s.test_phase) requests.push_back({.phase = TEST, .batch = test_batch});
  return s.needed_bytes(requests, s.options.iter_size, true);
}

// What the net has taken, of what needed_bytes() counts.
int64_t Net::Impl::held_bytes(const Session* unlisted) const {
  int64_t bytes = store.bytes() + arena.bytes() + scratch.bytes() + metrics.bytes() +
                  accumulated.bytes() + (unlisted != nullptr ? unlisted->own_bytes() : 0);
  for (const Buffer& partial : tree) bytes += partial.bytes();
  for (const auto& session : sessions) bytes += session->own_bytes();
  for (const auto& [recipe, value] : derived) {
    if (const auto held = value.lock()) bytes += held->memory.bytes();
  }
  return bytes;
}

// Whether training and its tests still have room when something else takes so many bytes.
bool Net::Impl::leaves_room(int64_t bytes) const {
  std::vector<SessionRequest> requests = beside({.phase = TRAIN});
  requests.push_back({.phase = TRAIN});
  int64_t arena_without_scratch = 0;
  for (const auto& session : sessions) {
    arena_without_scratch = std::max(arena_without_scratch, session->program.arena_bytes);
  }
  const int64_t held = held_bytes(nullptr) - scratch.bytes() -
                       std::max<int64_t>(0, arena.bytes() - arena_without_scratch);
  const int64_t later =
      std::max<int64_t>(0, needed_bytes(requests, options.iter_size, false) - held);
  return bytes <= usable(backend->free_bytes()) - later;
}

// The program that runs in turn with the requested one: where the net trains, that of its tests.
std::vector<SessionRequest> Net::Impl::beside(const SessionRequest& request) const {
  if (!train_phase || !test_phase || test_shapes.empty()) return {};
  return {{.phase = request.phase == TRAIN ? TEST : TRAIN}};
}

int64_t Net::Impl::batch_of(const SessionRequest& request) const {
  const Graph graph =
      build(request.phase, shapes_for(request.phase, request.batch, request.shapes));
  return resnet::batch_of(graph) * (request.phase == TRAIN ? options.plan.shards : 1);
}

// Smaller batches that do the same: in training with a larger iter_size.
std::vector<int64_t> Net::Impl::smaller(const SessionRequest& request) const {
  const int64_t batch = batch_of(request);
  if (request.phase != TRAIN) {
    constexpr int64_t kMost = 1 << 20;
    std::vector<int64_t> batches(static_cast<size_t>(std::clamp(batch - 1, int64_t{0}, kMost)));
    std::iota(batches.begin(), batches.end(), 1);
    return batches;
  }
  std::vector<int64_t> batches = smaller_batches(batch, options.iter_size, options.plan.shards);
  std::erase_if(batches, [&](int64_t n) {
    try {
      build(TRAIN, shapes_for(TRAIN, n, request.with_batch(n).shapes));
      return false;
    } catch (const Error&) {  // no multiple of a BatchNorm's group_size
      return true;
    }
  });
  return batches;
}

std::string Net::Impl::batch_line(const SessionRequest& request, int64_t batch) const {
  const std::string number = std::to_string(batch);
  const Graph graph =
      build(request.phase, shapes_for(request.phase, request.batch, request.shapes));
  const int index = graph.inputs.empty() ? -1 : graph.inputs[0].layer;
  if (index < 0 || param.layer(index).type() != "Data") return "  --batch=" + number + "\n";
  const bool test_of_training = request.phase == TEST && train_phase;
  return "  batch_size: " + number + "  # " + Phase_Name(request.phase) + " layer '" +
         param.layer(index).name() + "'" +
         (test_of_training ? "; test_iter must suit it" : ", or --batch=" + number) + "\n";
}

// The batches that fit into so many bytes, as lines for the user.
std::string Net::Impl::advice(const SessionRequest& request, int64_t bytes) const {
  std::vector<SessionRequest> all{request};
  for (const SessionRequest& other : beside(request)) all.push_back(other);
  int64_t images = 0;  // of an update
  for (const SessionRequest& one : all) {
    if (one.phase == TRAIN) images = batch_of(one) * options.iter_size;
  }
  const auto needed = [&](const std::vector<int64_t>& batches,
                          bool scratch) -> std::optional<int64_t> {
    std::vector<SessionRequest> requests;
    int64_t iter_size = options.iter_size;
    for (size_t i = 0; i < all.size(); ++i) {
      requests.push_back(batches[i] > 0 ? all[i].with_batch(batches[i]) : all[i]);
      if (all[i].phase == TRAIN && batches[i] > 0) iter_size = images / batches[i];
    }
    try {
      return needed_bytes(requests, iter_size, scratch);
    } catch (const Error&) {
      return std::nullopt;
    }
  };
  // With the largest batch of all[i] that fits beside the others as they are in `batches`.
  const auto search = [&](size_t i, std::vector<int64_t> batches) {
    const auto found =
        largest_fitting(smaller(all[i]), usable(bytes), [&](int64_t n, bool scratch) {
          batches[i] = n;
          return needed(batches, scratch);
        });
    batches[i] = found.value_or(-1);
    return batches;
  };
  std::vector<int64_t> found = search(0, std::vector<int64_t>(all.size()));
  if (found[0] < 0 && all.size() > 1) {  // the other one is too large as well
    const std::vector<int64_t> candidates = smaller(all[0]);
    found = {candidates.empty() ? 0 : candidates.front(), 0};
    found = search(1, found);
    if (found[1] > 0) found = search(0, found);
  }
  if (std::any_of(found.begin(), found.end(), [](int64_t n) { return n < 0; })) {
    return std::string("no smaller batch fits") +
           (images > 0 ? " with as many images in an update" : "") + "; --math=BFLOAT16" +
           (images > 0 ? ", --memory_budget" : "") + " or another device may help";
  }
  std::string lines = "what fits, in " + mib(needed(found, true).value_or(0));
  if (images > 0) lines += ", with the same " + std::to_string(images) + " images in an update";
  lines += ":\n";
  for (size_t i = 0; i < all.size(); ++i) {
    if (found[i] == 0) continue;
    lines += batch_line(all[i], found[i]);
    if (all[i].phase == TRAIN) {
      lines += "  iter_size: " + std::to_string(images / found[i]) + "  # solver\n";
    }
  }
  lines.pop_back();
  return lines;
}

PlanTooLarge Net::Impl::explain(const OutOfMemory& error, const SessionRequest& request,
                                const Session* unlisted) const {
  const int64_t there = std::min(backend->free_bytes(), std::numeric_limits<int64_t>::max() / 2) +
                        held_bytes(unlisted);
  std::vector<SessionRequest> all = beside(request);
  all.push_back(request);
  try {
    PlanContext of{.backend = context.backend, .parameters = {}, .kernels = context.kernels};
    const Program program = plan_for(request, false, of);
    const std::string fact = std::string(request.phase == TRAIN ? "training" : "computing") +
                             " with batches of " + std::to_string(batch_of(request)) +
                             " images needs " + mib(needed_bytes(all, options.iter_size, true)) +
                             ", " + mib(there) + " are there (" + error.fact() + ")";
    return {fact, "its largest tensors:\n" + describe_largest(program, kShownTensors) +
                      advice(request, there)};
  } catch (const Error&) {  // what cannot be planned is another error, which comes later
    return {error.fact(), "use a smaller batch_size with a larger iter_size"};
  }
}

}  // namespace resnet
