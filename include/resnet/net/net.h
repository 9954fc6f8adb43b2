// A net that runs: weights, momenta, BatchNorm state and the Programs planned for them. One Net serves
// training, testing and any input size; its Programs share the weights and one arena.
// Not thread-safe: one run at a time.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "resnet/plan/program.h"
#include "resnet/tensor/normalise.h"

namespace resnet {

struct NetOptions {
  PlanOptions plan;  // fuse, reuse, layouts, memory budget, shards
  DType dtype = DType::f32;
  // Batches whose gradients are added for one update: what memory must hold, and which smaller batches
  // are named when it does not.
  int iter_size = 1;
  int level = 0;
  std::vector<std::string> stages;
  std::function<std::string(int layer)> locate;  // "file:line" of a layer, for messages
  // Programs that are kept for input shapes that come again, and the most that those not in use may
  // hold (inputs above all); least recently used ones are dropped.
  int max_programs = 8;
  int64_t max_program_bytes = int64_t{1} << 30;
};

// A loss or metric of one run, averaged over the batch; weigh by `weight` when averaging over batches.
struct Metric {
  std::string name;
  Output::Kind kind = Output::Kind::metric;
  double value = 0;
  double weight = 0;
  double loss_weight = 0;  // of a loss
};

// The sum of loss_weight * value over losses.
double total_loss(std::span<const Metric> metrics);

// One SGD step's settings. Caffe's order: clip, divide by iter_size, decay, update.
struct Update {
  double rate = 0;  // times each parameter's lr_mult
  double momentum = 0;
  double weight_decay = 0;  // times each parameter's decay_mult
  bool l1 = false, nesterov = false;
  double clip_gradients = -1;  // L2 norm of all gradients; negative: off
  int iter_size = 1;           // batches whose gradients were added
};

// Host copy in logical row-major order.
struct HostArray {
  Shape shape;
  std::vector<float> data;
};

// Sums partial gradients and statistics of shards that several processes compute. Called with the local
// node of the binary tree over shard indices; must leave the root's value in `data` on every process.
class ShardExchange {
 public:
  virtual ~ShardExchange() = default;
  virtual void combine(std::span<float> data) = 0;
};

// A planned program bound to memory. Obtained from Net::plan; valid until dropped by the Net's cache:
// fetch it again rather than keep it across other plan() calls.
class Session;

// Whatever needs memory throws PlanTooLarge when a program does not fit, naming its largest tensors and the
// largest smaller batch that would fit; in training with the iter_size that keeps the images of an update.
class Net {
 public:
  // `net` may hold layers for both phases. Declares parameters of TRAIN first, then those of TEST only.
  // input_shapes: tops of Data layers with the batch size in front.
  Net(NetParameter net, std::shared_ptr<Backend> backend, NetOptions options,
      std::map<std::string, Shape> train_shapes, std::map<std::string, Shape> test_shapes);
  ~Net();

  // Plans or finds the program for a phase. `batch` > 0 replaces the batch size of every input; `shapes`
  // replaces single inputs. TRAIN programs compute gradients. `keep`: blobs to be read afterwards.
  Session& session(Phase phase, int64_t batch = 0, const std::map<std::string, Shape>& shapes = {},
                   const std::vector<std::string>& keep = {});
  bool has_phase(Phase phase) const;  // whether the file has a net for it (any loss for TRAIN)

  // Fills weights by their fillers: a pure function of (seed, parameter index, element).
  void initialize(uint64_t seed);

  // Host memory of an input, to be filled before a run: whole batch, row-major (N,C,H,W) in dtype().
  Tensor input(Session& session, const std::string& blob);
  // Where a device normalises: host memory for the input's 8-bit pixels, whole batch, row-major (N,C,H,W)
  // u8, and their placements (N,placement::kSize) f32 (tensor/normalise.h), to be filled instead of
  // input(). Else tensors without memory, and why in *reason ("" on the host, where nothing is gained).
  struct PixelInput {
    Tensor levels, places;
  };
  PixelInput input_pixels(Session& session, const std::string& blob,
                          const std::shared_ptr<const PixelRule>& rule, std::string* reason);
  std::vector<std::string> input_names(Session& session) const;
  // Seed and stream position of the batch's first record, for ops that draw random numbers.
  void set_clock(Session& session, uint64_t seed, int64_t position);

  // Runs the forward pass (refreshing derived weights first).
  std::vector<Metric> forward(Session& session);
  // Forward and backward over all shards [first_shard, last_shard) of the batch (default all), then moves
  // BatchNorm statistics once. add = true adds to the gradients that are there (iter_size).
  std::vector<Metric> forward_backward(Session& session, bool add = false);
  // Only the shards [begin, end) are computed here, the exchange sums the rest. nullptr: all here.
  void set_exchange(ShardExchange* exchange, int begin, int end);
  void update(const Update& update);
  double gradient_norm();  // L2 over all learnable parameters

  // Value of a blob after a run; throws ConfigError if it was not kept, listing what can be read.
  HostArray read(Session& session, const std::string& blob);
  // The blob's gradient, when planned with input_gradients.
  HostArray read_input_gradient(Session& session, const std::string& blob);

  const std::vector<Parameter>& parameters() const;
  HostArray read_parameter(int index) const;  // Caffe's order
  HostArray read_gradient(int index) const;   // zeros for state and in a net without TRAIN
  HostArray read_history(int index) const;    // momentum; zeros likewise
  void write_parameter(int index, std::span<const float> data);
  void write_history(int index, std::span<const float> data);
  // Replaces a BatchNorm layer's statistics (bn-stats): true mean and variance, factor 1.
  void reset_statistics();  // zero mean, variance, factor of all layers

  const NetParameter& param() const;
  Backend& backend();
  DType dtype() const;
  const Program& program(const Session& session) const;
  int64_t arena_bytes() const;      // allocated now
  int64_t parameter_bytes() const;  // weights, gradients, momenta, state
  // All that the net needs for the programs it keeps: parameters, one arena for the largest, inputs and
  // derived weights; sums of gradients (iter_size, shards) once they are there.
  int64_t planned_bytes() const;
  // What a new net would hold to run with these batches (0: as the file says; of a phase that the net has
  // not, nothing), found by planning: parameters, one arena, inputs and what brings them, sums of
  // gradients. Throws as session().
  int64_t needed_bytes(int64_t train_batch, int64_t test_batch) const;
  // Seconds spent so far on what is done once for every input shape: planning and compiling.
  double planning_seconds() const;
  // Seconds per step of the last run when timing is on: (layer, op, pass, impl, seconds).
  struct StepTime {
    std::string layer, op, pass, impl;
    double seconds = 0;
  };
  void set_timing(bool on);
  std::vector<StepTime> step_times(const Session& session) const;
  // Scans values of the last run in order and names the first layer with a non-finite value ("" if none).
  std::string first_non_finite(Session& session);

 private:
  friend class Trainer;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace resnet
