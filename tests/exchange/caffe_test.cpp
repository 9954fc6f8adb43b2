// What is exported to Caffe: read by Caffe's layout of messages, and computed.
#include "resnet/exchange/caffe.h"

#include <lmdb.h>

#include <cstdlib>

#include "exchange/caffe_layout.h"
#include "exchange/caffe_run.h"
#include "resnet/eval/weights.h"

namespace resnet::testing {
namespace {

std::string own_layout() {
  return std::string(RESNET_SOURCE_DIR) + "/tests/exchange/caffe_layout.proto";
}

// Caffe's own caffe.proto, where it is at hand.
std::string caffes_layout() {
  const char* const path = std::getenv("RESNET_CAFFE_PROTO");
  return path == nullptr ? "" : path;
}

#define RESNET_NEEDS_CAFFE_PROTO()                                          \
  if (caffes_layout().empty()) {                                            \
    GTEST_SKIP() << "RESNET_CAFFE_PROTO does not name Caffe's caffe.proto"; \
  }

NetParameter without_blobs(NetParameter net) {
  for (LayerParameter& layer : *net.mutable_layer()) layer.clear_blobs();
  return net;
}

const LayerParameter& layer_of(const NetParameter& net, const std::string& name) {
  for (const LayerParameter& layer : net.layer()) {
    if (layer.name() == name) return layer;
  }
  throw std::runtime_error("no layer " + name);
}

int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

std::shared_ptr<Backend> reference() { return std::shared_ptr<Backend>(make_backend("reference")); }

// residual_net() with weights and with all that only we know.
NetParameter weighted_net() {
  Net net(parse_net(residual_net(2)), reference(), {}, {}, {});
  net.initialize(5);
  Preprocessing preprocessing;
  preprocessing.set_crop_size(8);
  NetParameter out = with_weights(net, preprocessing);
  out.mutable_training()->set_iteration(3);
  return out;
}

HostArray scores_of(const NetParameter& param, const WeightSet& weights) {
  Net net(param, reference(), {}, {}, {});
  EXPECT_TRUE(load_weights(net, weights).unused.empty());
  Session& session = net.session(TEST, 2, {}, {"fc"});
  fill_inputs(net, session, 9);
  net.forward(session);
  return net.read(session, "fc");
}

TEST(CaffeNet, ShortcutsBecomeFixedConvolutions) {
  const NetParameter own = weighted_net(), caffe = to_caffe(own);
  const LayerParameter& shortcut = layer_of(caffe, "b0");
  EXPECT_EQ(shortcut.type(), "Convolution");
  EXPECT_FALSE(shortcut.has_identity_shortcut_param());
  EXPECT_EQ(shortcut.param(0).lr_mult(), 0);
  EXPECT_EQ(shortcut.param(0).decay_mult(), 0);
  ASSERT_EQ(shortcut.blobs_size(), 1);
  EXPECT_EQ(blob_shape(shortcut.blobs(0), ""), (Shape{8, 4, 1, 1}));
  float sum = 0;
  for (const float weight : shortcut.blobs(0).data()) sum += weight;
  EXPECT_EQ(sum, 4);

  const ScratchDirectory dir;
  write_caffe(dir / "net.caffemodel", caffe);
  const WeightSet weights = read_caffemodel(dir / "net.caffemodel");
  EXPECT_FALSE(weights.ours);
  const HostArray before =
      scores_of(without_blobs(own), parse_caffemodel(own.SerializeAsString(), "o"));
  const HostArray after = scores_of(parse_net(caffe_prototxt(caffe)), weights);
  ASSERT_EQ(before.shape, after.shape);
  EXPECT_LT(relative_error(after.data, before.data), 1e-6);
  EXPECT_GT(relative_error(after.data, std::vector<float>(after.data.size())), 1);  // no zeros
}

void expect_caffes_net(const std::string& layout_path) {
  CaffeLayout layout(layout_path);
  const NetParameter caffe = to_caffe(weighted_net());
  const auto message = layout.decode("NetParameter", caffe.SerializeAsString());
  EXPECT_FALSE(CaffeLayout::has_unknown(*message));
  const std::string text = layout.text_of("NetParameter", caffe.SerializeAsString());
  EXPECT_EQ(count(text, "type: \"BatchNorm\""), 8);
  EXPECT_EQ(count(text, "type: \"Input\""), 1);
  EXPECT_EQ(count(text, "type: \"IdentityShortcut\""), 0);
  // Convolutions (9, of which one is the shortcut), BatchNorms, Scales and the classifier.
  EXPECT_EQ(count(text, "blobs {"), 9 + 3 * 8 + 2 * 8 + 2);
  EXPECT_EQ(count(text, "shape {"), count(text, "blobs {") + 2);
  EXPECT_EQ(count(text, "num: "), 0);
}

TEST(CaffeNet, HasNothingOfOurs) {
  expect_caffes_net(own_layout());
  // A check that can fail: our own file has fields that Caffe skips.
  CaffeLayout layout(own_layout());
  EXPECT_TRUE(
      CaffeLayout::has_unknown(*layout.decode("NetParameter", weighted_net().SerializeAsString())));
}

TEST(CaffeNet, IsReadByCaffesOwnLayout) {
  RESNET_NEEDS_CAFFE_PROTO();
  expect_caffes_net(caffes_layout());
}

TEST(CaffeNet, WhatCaffeCannotComputeIsNamedAtOnce) {
  const std::string net =
      "layer { name: 'data' type: 'Data' top: 'data' top: 'label' transform_param { pad: 4 "
      "resize_shorter_min: 256 exif_orientation: false } data_param { backend: CIFAR10 source: 'x' "
      "shuffle: true record_end: 5 } }"
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'data' top: 'bn' batch_norm_param { "
      "group_size: "
      "4 } }"
      "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'bn' bottom: 'label' top: 'loss' "
      "loss_param { label_smoothing: 0.1 } }";
  const std::string error = error_of<ConfigError>([&] { to_caffe(parse_net(net)); });
  for (const char* name : {"layer 'data': TransformationParameter.pad: ", "resize_shorter_min",
                           "DataParameter.backend: ", "DataParameter.shuffle: ", "record_end",
                           "layer 'bn': BatchNormParameter.group_size: ", "label_smoothing"}) {
    EXPECT_NE(error.find(name), std::string::npos) << name << " in\n" << error;
  }
  EXPECT_EQ(count(error, "\n"), 6) << error;

  // In a net for use, groups of training statistics mean nothing.
  NetParameter use = parse_net(residual_net(1, 4, 8, "group_size: 2"));
  EXPECT_FALSE(layer_of(to_caffe(use), "bn_a1").batch_norm_param().has_group_size());
  // Caffe's default is a LevelDB.
  const std::string lmdb =
      "layer { name: 'd' type: 'Data' top: 'd' data_param { source: 'x' shuffle: false } }";
  const DataParameter data = to_caffe(parse_net(lmdb)).layer(0).data_param();
  EXPECT_TRUE(data.has_backend());
  EXPECT_FALSE(data.has_shuffle());
}

TEST(CaffeSolver, KeepsWhatCaffeObeys) {
  const SolverParameter caffe = to_caffe(parse_solver_prototxt(kShortcutSolver));
  EXPECT_EQ(caffe.stepvalue_size(), 2);
  EXPECT_FALSE(caffe.has_window());
  EXPECT_FALSE(caffe.has_keep_snapshots());
  const auto error = [](const std::string& text) {
    return error_of<ConfigError>([&] { to_caffe(parse_solver_prototxt(text)); });
  };
  const std::string all =
      error("lr_policy: 'plateau' min_lr: 1e-4 math: BFLOAT16 warmup_iter: 5 test_interval: 9");
  for (const char* name : {"\"plateau\"", "SolverParameter.math", "warmup_iter", "test_iter"}) {
    EXPECT_NE(all.find(name), std::string::npos) << name << " in\n" << all;
  }
  EXPECT_EQ(count(all, "\n"), 3) << all;
}

class CaffeState : public ::testing::Test {
 protected:
  CaffeState() {
    write_small_lmdb(dir_ / "lmdb");
    net_ = shortcut_net(dir_ / "lmdb");
  }

  // Runs to the end, with a snapshot on the way, and returns that.
  LoadedState train(std::vector<HostArray>* weights) {
    TrainRun run(kShortcutSolver, net_, dir_ / "own");
    EXPECT_EQ(run.solver.run(), Solver::Outcome::finished);
    *weights = learnt(run);
    return read_solverstate(snapshot_paths(dir_ / "own", 4).state);
  }

  static std::vector<HostArray> learnt(const TrainRun& run) {
    std::vector<HostArray> all;
    for (size_t i = 0; i < run.net.parameters().size(); ++i) {
      if (run.net.parameters()[i].layer == "a0") continue;
      all.push_back(run.net.read_parameter(static_cast<int>(i)));
    }
    return all;
  }

  NetParameter snapshot_net() const {
    NetParameter net;
    EXPECT_TRUE(net.ParseFromString(read_file(snapshot_paths(dir_ / "own", 4).model)));
    return net;
  }

  ScratchDirectory dir_;
  std::string net_;
};

TEST_F(CaffeState, ARunGoesOnFromWhatWasExported) {
  std::vector<HostArray> wanted;
  const LoadedState own = train(&wanted);
  const NetParameter net = snapshot_net(), caffe = to_caffe(net);
  write_caffe(dir_ / "caffe_iter_4.caffemodel", caffe);
  write_caffe(dir_ / "caffe_iter_4.solverstate",
              to_caffe(own.state, net, "caffe_iter_4.caffemodel"));
  const LoadedState state = read_solverstate(dir_ / "caffe_iter_4.solverstate");
  EXPECT_FALSE(state.ours);
  EXPECT_EQ(state.state.current_step(), 1);

  TrainRun run(format_prototxt(to_caffe(parse_solver_prototxt(kShortcutSolver))),
               caffe_prototxt(caffe), dir_ / "more");
  run.resume(dir_ / "caffe_iter_4.solverstate");
  EXPECT_EQ(run.solver.iteration(), 4);
  ASSERT_EQ(run.solver.run(), Solver::Outcome::finished);
  const std::vector<HostArray> got = learnt(run);
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LT(distance(got[i].data, wanted[i].data), 1e-5) << i;
  }
  // The shortcut's weights are still zeros and ones.
  for (size_t i = 0; i < run.net.parameters().size(); ++i) {
    if (run.net.parameters()[i].layer != "a0") continue;
    for (const float weight : run.net.read_parameter(static_cast<int>(i)).data) {
      EXPECT_TRUE(weight == 0 || weight == 1);
    }
  }
}

TEST_F(CaffeState, IsReadByCaffesLayout) {
  std::vector<HostArray> ignored;
  const LoadedState own = train(&ignored);
  const std::string bytes = to_caffe(own.state, snapshot_net(), "x.caffemodel").SerializeAsString();
  for (const std::string& path : {own_layout(), caffes_layout()}) {
    if (path.empty()) continue;
    CaffeLayout layout(path);
    EXPECT_FALSE(CaffeLayout::has_unknown(*layout.decode("SolverState", bytes)));
    const std::string text = layout.text_of("SolverState", bytes);
    EXPECT_NE(text.find("iter: 4\nlearned_net: \"x.caffemodel\""), std::string::npos);
    // conv, BatchNorm and Scale three times, the shortcut, the classifier.
    EXPECT_EQ(count(text, "history {"), 3 * (1 + 3 + 2) + 1 + 2);
  }
  SolverState few = own.state;
  few.mutable_history()->RemoveLast();
  EXPECT_NE(error_of<DataError>([&] { to_caffe(few, snapshot_net(), "x"); }).find("momentum blobs"),
            std::string::npos);
}

// The first value of the database.
std::string first_record(const std::string& path) {
  MDB_env* environment = nullptr;
  MDB_txn* transaction = nullptr;
  MDB_dbi database = 0;
  MDB_cursor* cursor = nullptr;
  EXPECT_EQ(mdb_env_create(&environment), 0);
  EXPECT_EQ(mdb_env_open(environment, path.c_str(), MDB_RDONLY | MDB_NOLOCK, 0600), 0);
  EXPECT_EQ(mdb_txn_begin(environment, nullptr, MDB_RDONLY, &transaction), 0);
  EXPECT_EQ(mdb_dbi_open(transaction, nullptr, 0, &database), 0);
  EXPECT_EQ(mdb_cursor_open(transaction, database, &cursor), 0);
  MDB_val key, value;
  EXPECT_EQ(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
  EXPECT_EQ(std::string(static_cast<const char*>(key.mv_data), key.mv_size), "00000000_image0");
  std::string bytes(static_cast<const char*>(value.mv_data), value.mv_size);
  mdb_cursor_close(cursor);
  mdb_txn_abort(transaction);
  mdb_env_close(environment);
  return bytes;
}

TEST_F(CaffeState, RecordsOfDatabasesAreCaffesToo) {
  const std::string bytes = first_record(dir_ / "lmdb");
  for (const std::string& path : {own_layout(), caffes_layout()}) {
    if (path.empty()) continue;
    CaffeLayout layout(path);
    EXPECT_FALSE(CaffeLayout::has_unknown(*layout.decode("Datum", bytes)));
    const std::string text = layout.text_of("Datum", bytes);
    EXPECT_EQ(text.find("channels: 3\nheight: 8\nwidth: 8\ndata: "), 0U) << text;
    EXPECT_NE(text.find("\nlabel: 0\n"), std::string::npos);
  }
}

}  // namespace
}  // namespace resnet::testing
