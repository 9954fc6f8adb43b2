// A training run on small CIFAR-10 files, for tests of the solver.
#pragma once

#include <bit>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/data_test_util.h"
#include "io/io_test_util.h"
#include "net/small_nets.h"
#include "resnet/backend/backend.h"
#include "resnet/io/prototxt.h"
#include "resnet/solver/solver.h"
#include "resnet/solver/solver_files.h"

namespace resnet::testing {

constexpr int kTrainRecords = 40, kTestRecords = 20;

// data_batch_1.bin with 40 records and test_batch.bin with 20; labels go round.
inline void write_small_cifar(const std::string& dir) {
  write_cifar(dir + "/data_batch_1.bin", 0, kTrainRecords);
  write_cifar(dir + "/test_batch.bin", 100, kTestRecords);
}

inline std::string cifar_data_layer(const std::string& phase, const std::string& dir,
                                    const std::string& more) {
  return "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: " + phase +
         " } transform_param { mean_value: 128 scale: 0.01 crop_size: 24 " +
         (phase == "TRAIN" ? "mirror: true pad: 2 " : "") + "} data_param { source: '" + dir +
         "' backend: CIFAR10 batch_size: 8 " + more + "} }\n";
}

// A net with everything that has state: BatchNorm, dropout, shuffled and augmented data.
inline std::string small_train_net(const std::string& dir) {
  return "name: 'small'\n" + cifar_data_layer("TRAIN", dir, "shuffle: true ") +
         cifar_data_layer("TEST", dir, "") + conv("conv1", "data", 4, 3, 2) + norm("conv1") +
         relu("conv1") + conv("conv2", "conv1", 8, 3, 2) + norm("conv2") + relu("conv2") +
         layer("pool", "Pooling", "conv2", "pool",
               "pooling_param { pool: AVE global_pooling: true }") +
         layer("drop", "Dropout", "pool", "pool", "dropout_param { dropout_ratio: 0.2 }") +
         layer("fc", "InnerProduct", "pool", "fc",
               "inner_product_param { num_output: 10 weight_filler { type: 'msra' } }") +
         layer("loss", "SoftmaxWithLoss", "fc,label", "loss") +
         layer("accuracy", "Accuracy", "fc,label", "accuracy");
}

constexpr const char* kSmallSolver =
    "base_lr: 0.05 lr_policy: 'multistep' gamma: 0.1 stepvalue: 7 momentum: 0.9 "
    "weight_decay: 0.001 max_iter: 10 display: 2 average_loss: 3 random_seed: 5 "
    "test_interval: 4 ";

// A solver's text with other values for some of its fields: changed(text, "base_lr: 1 gamma: 0.5").
inline std::string changed(const std::string& solver, const std::string& fields) {
  SolverParameter param = parse_solver_prototxt(solver);
  param.MergeFrom(parse_solver_prototxt(fields));
  return format_prototxt(param);
}

// Keeps all reports.
struct Recorder : Observer {
  void on_start(const StartReport& r) override { start = r; }
  void on_step(const StepReport& r) override { steps.push_back(r); }
  void on_test(const TestReport& r) override { tests.push_back(r); }
  void on_snapshot(const SnapshotReport& r) override { snapshots.push_back(r); }
  void on_stop(const StopReport& r) override { stops.push_back(r); }
  void on_note(const std::string& text) override { notes.push_back(text); }

  StartReport start;
  std::vector<StepReport> steps;
  std::vector<TestReport> tests;
  std::vector<SnapshotReport> snapshots;
  std::vector<StopReport> stops;
  std::vector<std::string> notes;
};

struct RunOptions {
  std::string backend = "reference";
  int shards = 1;
  int loader_threads = 0;
  DType dtype = DType::f32;
  std::string base_dir = {};
  std::function<Action()> poll = {};
  bool hold_data = true, record = true, pixels = true;
  DType math = DType::f32;
  BackendOptions choosing = {};  // of kernels
};

// Net, feeds and Solver of one run; the solver's text may omit `net`.
class TrainRun {
 public:
  TrainRun(const std::string& solver, const std::string& net_text, const std::string& prefix,
           const RunOptions& options = {})
      : param(parse_solver_prototxt(solver)),
        prefix(prefix),
        seed(static_cast<uint64_t>(param.random_seed())),
        train(parse_net(net_text), feed_options(TRAIN, options)),
        test(parse_net(net_text), feed_options(TEST, options)),
        net(parse_net(net_text), backend_of(options), net_options(options), train.shapes(),
            test.shapes()),
        solver({param, prefix, seed, {&recorder}, options.poll, options.hold_data, options.record},
               net, train, &test) {
    net.initialize(seed);
  }

  void resume(const std::string& state_path) { solver.restore(read_solverstate(state_path)); }

  std::vector<HostArray> weights() const {
    std::vector<HostArray> all;
    for (size_t i = 0; i < net.parameters().size(); ++i) {
      all.push_back(net.read_parameter(static_cast<int>(i)));
      all.push_back(net.read_history(static_cast<int>(i)));
    }
    return all;
  }

  Recorder recorder;
  SolverParameter param;
  std::string prefix;
  uint64_t seed;
  Feed train, test;
  Net net;
  Solver solver;

 private:
  static std::shared_ptr<Backend> backend_of(const RunOptions& options) {
    std::shared_ptr<Backend> backend = make_backend(options.backend);
    backend->configure(options.choosing);
    return backend;
  }
  FeedOptions feed_options(Phase phase, const RunOptions& options) const {
    FeedOptions feed;
    feed.phase = phase;
    feed.seed = seed;
    feed.loader_threads = options.loader_threads;
    feed.base_dir = options.base_dir;
    feed.pixels = options.pixels;
    return feed;
  }
  static NetOptions net_options(const RunOptions& options) {
    NetOptions net;
    net.plan.shards = options.shards;
    net.dtype = options.dtype;
    net.plan.math = options.math;
    return net;
  }
};

// Weights and momenta, bit by bit.
inline void expect_equal(const std::vector<HostArray>& a, const std::vector<HostArray>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].data.size(), b[i].data.size());
    const bool same = std::equal(
        a[i].data.begin(), a[i].data.end(), b[i].data.begin(),
        [](float x, float y) { return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y); });
    EXPECT_TRUE(same) << "array " << i;
  }
}

inline double distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / std::max(norm, 1e-12));
}

}  // namespace resnet::testing
