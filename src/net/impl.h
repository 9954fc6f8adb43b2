// The Net's inside, shared by net.cpp (planning, parameters) and run.cpp (running, updating).
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <utility>

#include "net/parameters.h"
#include "net/session.h"
#include "resnet/base/error.h"
#include "resnet/net/net.h"
#include "resnet/ops/training_rules.h"

namespace resnet {

// Adds the time that it lives to a sum of seconds.
class PlanningTime {
 public:
  explicit PlanningTime(double* seconds) : seconds_(seconds) {}
  ~PlanningTime() { *seconds_ += std::chrono::duration<double>(Clock::now() - start_).count(); }
  PlanningTime(const PlanningTime&) = delete;
  PlanningTime& operator=(const PlanningTime&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  double* seconds_;
  Clock::time_point start_ = Clock::now();
};

// Images of a batch; 0 where the inputs differ in that.
int64_t batch_of(const Graph& graph);

struct Net::Impl {
  NetParameter param;
  std::shared_ptr<Backend> backend;
  NetOptions options;
  std::map<std::string, Shape> train_shapes, test_shapes;

  PlanContext context;
  std::vector<Parameter> parameters;
  std::map<std::string, int> parameter_index;                  // by Parameter::name()
  std::vector<std::pair<std::string, TensorDesc>> statistics;  // of the TRAIN graph's BatchNorms
  int64_t own_batch[2] = {};  // by phase, of the file and the sources
  bool train_phase = false;
  bool test_phase = false;

  ParameterStore store;
  int64_t weights_version = 0;  // grows with every change of weights or state
  Buffer arena, scratch;
  std::list<std::unique_ptr<Session>> sessions;           // most recently used first
  std::map<std::string, std::weak_ptr<Derived>> derived;  // by recipe
  ShardExchange* exchange = nullptr;
  int first_shard = 0, last_shard = 0;
  bool timing = false;
  double planning_seconds = 0;

  std::vector<Buffer> tree;  // partial sums of shards, by level
  Buffer accumulated;        // gradients of earlier micro-batches (iter_size)
  Buffer state;              // of training (training_rules.h), with the clock
  Buffer metrics;            // of the last (shard of a) batch
  Buffer hyper, norm;        // of the last update: f64 (4), f64 (1)
  std::set<std::shared_ptr<const Kernel>> loose_kernels;  // those that run_kernel() keeps
  Buffer staging;  // host memory for what goes to and from the device

  // net.cpp
  Graph build(Phase phase, const std::map<std::string, Shape>& shapes) const;
  void declare(const Graph& graph);
  std::map<std::string, Shape> shapes_for(Phase phase, int64_t batch,
                                          const std::map<std::string, Shape>& replaced) const;
  PlanOptions plan_options(const SessionRequest& request) const;
  Session& find_session(const SessionRequest& request);
  std::unique_ptr<Session> make_session(const SessionRequest& request);
  std::map<ValueId, std::shared_ptr<Derived>> share_derived(const Program& program);
  void drop_sessions();
  void ensure_store();
  void place(ParameterStore& parameter_store, PlanContext& of) const;
  std::vector<float> filled(size_t index, uint64_t seed) const;
  Tensor plain_host(const Buffer& buffer, const Shape& shape) const;
  bool trained(int index) const;
  HostArray zeros(int index) const;
  HostArray to_host(const Tensor& tensor);
  void from_host(const Tensor& tensor, std::span<const float> data);

  // memory.cpp
  Program plan_for(const SessionRequest& request, bool compile, PlanContext& of) const;
  int64_t needed_bytes(std::vector<SessionRequest> requests, int64_t iter_size, bool scratch) const;
  int64_t held_bytes(const Session* unlisted) const;
  bool leaves_room(int64_t bytes) const;
  std::vector<SessionRequest> beside(const SessionRequest& request) const;
  std::vector<int64_t> smaller(const SessionRequest& request) const;
  int64_t batch_of(const SessionRequest& request) const;
  std::string batch_line(const SessionRequest& request, int64_t batch) const;
  std::string advice(const SessionRequest& request, int64_t bytes) const;
  PlanTooLarge explain(const OutOfMemory& error, const SessionRequest& request,
                       const Session* unlisted) const;
  // Does something that needs memory for that session; `unlisted`: one that `sessions` does not have yet.
  template <class Work>
  void explaining(const SessionRequest& request, const Session* unlisted, const Work& work) const {
    try {
      work();
    } catch (const PlanTooLarge&) {
      throw;
    } catch (const OutOfMemory& e) {
      throw explain(e, request, unlisted);
    }
  }

  // inputs.cpp
  bool on_device() const { return backend->memory() == MemoryKind::device; }
  InputBuffer make_input(const TensorDesc& desc);
  void set_arrivals(Session& session, InputBuffer& input, const std::vector<TensorDesc>& descs);
  void take_floats(Session& session, InputBuffer& input);
  std::string take_pixels(Session& session, InputBuffer& input,
                          const std::shared_ptr<const PixelRule>& rule);
  InputBuffer& input_of(Session& session, const std::string& blob) const;
  void await_turn(InputBuffer& input) const;
  Buffer transfer_memory(int64_t bytes) const;
  void upload_inputs(Session& session);
  void convert_inputs(Session& session);  // enqueued after uploads, part of each batch
  Tensor host_staging(const TensorDesc& desc, int64_t offset = 0);
  void put(const Tensor& dst, const void* values);    // host values of dst's bytes, and waits
  void fetch(void* values, const Tensor& src);        // likewise
  std::vector<double> scalars(const Tensor& tensor);  // of f32 or f64
  Tensor state_tensor() const;
  bool loss_scaling() const { return options.plan.math == DType::f16; }
  double first_loss_scale() const { return loss_scaling() ? train_state::kFirstLossScale : 1; }
  void refresh_copy(int index);  // of a weight

  // run.cpp
  void grow(Buffer& buffer, int64_t bytes);
  void bind(Session& session);
  void bind_shard(Session& session, int shard);
  void set_clock(Session& session, int shard);
  Tensor tensor_of(Session& session, ValueId value, int shard) const;
  Tensor metrics_tensor(const Session& session) const;
  void run_step(const Session& session, const BoundStep& step) const;
  void run_steps(const Session& session, std::vector<BoundStep>& steps) const;
  void run_kernel(const OpDesc& desc, std::span<const Tensor> in, std::span<const Tensor> out);
  void refresh_derived(Session& session);
  void mark_derived(Session& session, int64_t version);  // as made from weights of this version
  std::pair<int, int> shards_here(const Session& session) const;
  // Enqueues a batch; calls `before(shard)` and `after(shard)` around each shard's steps.
  void enqueue(Session& session, bool backward, bool add, const std::function<void(int)>& before,
               const std::function<void(int)>& after);
  std::vector<Metric> run(Session& session, bool backward, bool add);
  std::vector<Metric> collect_metrics(const Session& session, const std::vector<double>& values,
                                      int shards) const;
  void sum_counts(Session& session, int begin, int end);
  void add_into(const Tensor& dst, const Tensor& src);  // dst += src, flat
  void scale(const Tensor& tensor, double factor);
  void push_partial(int shard);
  void combine_partials();
  void exchange_partials();

  // update.cpp
  Tensor hyper_tensor();
  Tensor enqueue_norm();  // squared, of all gradients
  void enqueue_sgd(bool nesterov, bool l1);
};

}  // namespace resnet
