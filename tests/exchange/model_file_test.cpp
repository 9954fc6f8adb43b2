// One-file models: written, read, and found in snapshots and in what Caffe saved.
#include "resnet/exchange/model_file.h"

#include "exchange/caffe_layout.h"
#include "exchange/caffe_run.h"
#include "resnet/eval/weights.h"

namespace resnet::testing {
namespace {

std::shared_ptr<Backend> reference() { return std::shared_ptr<Backend>(make_backend("reference")); }

// The same image through a net, as probabilities.
std::vector<float> probabilities(const NetParameter& param, const WeightSet& weights,
                                 const std::string& blob) {
  Net net(param, reference(), {}, {}, {});
  load_weights(net, weights);
  Session& session = net.session(TEST, 1, {}, {blob});
  fill_inputs(net, session, 4);
  net.forward(session);
  return net.read(session, blob).data;
}

class ModelFiles : public ::testing::Test {
 protected:
  ModelFiles() { write_small_lmdb(dir_ / "lmdb"); }

  std::string snapshot() {
    TrainRun run(kShortcutSolver, shortcut_net(dir_ / "lmdb"), dir_ / "own");
    EXPECT_EQ(run.solver.run(), Solver::Outcome::finished);
    return snapshot_paths(dir_ / "own", 8).model;
  }
  std::string error(const std::string& bytes) const {
    return error_of<DataError>([&] { parse_model_file(bytes, "m.caffemodel"); });
  }

  ScratchDirectory dir_;
};

TEST_F(ModelFiles, ASnapshotIsOne) {
  const ModelFile model = read_model_file(snapshot());
  EXPECT_EQ(model.image, (Shape{3, 8, 8}));
  EXPECT_EQ(model.input, "data");
  EXPECT_EQ(model.scores, "prob");
  EXPECT_EQ(model.net.layer(0).type(), "Input");
  EXPECT_EQ(model.net.layer(model.net.layer_size() - 1).type(), "Softmax");
  for (const LayerParameter& layer : model.net.layer()) {
    EXPECT_EQ(layer.blobs_size() + layer.include_size(), 0) << layer.name();
    EXPECT_NE(layer.type(), "Data");
  }
  EXPECT_TRUE(model.has_preprocessing);
  EXPECT_FLOAT_EQ(model.preprocessing.scale(), 0.01F);
  EXPECT_EQ(model.training.iteration(), 8);
  EXPECT_EQ(model.training.test().iteration(), 4);  // that of iteration 8 comes after the snapshot
  EXPECT_EQ(model.training.test().images(), 24);
  EXPECT_NE(model.weights.run_id, 0U);
  const std::vector<float> scores = probabilities(model.net, model.weights, model.scores);
  ASSERT_EQ(scores.size(), 10U);
  float sum = 0;
  for (const float score : scores) sum += score;
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST_F(ModelFiles, ComeBackAsTheyWere) {
  const std::string path = snapshot();
  const ModelFile model = read_model_file(path);
  NetParameter whole;
  ASSERT_TRUE(whole.ParseFromString(read_file(path)));
  Preprocessing preprocessing = model.preprocessing;
  for (int i = 0; i < 10; ++i) preprocessing.add_class_name("class " + std::to_string(i));
  write_model_file(dir_ / "one.caffemodel", deploy_net(whole, image_shape_of(whole)), preprocessing,
                   model.training, model.weights.run_id);

  const ModelFile one = read_model_file(dir_ / "one.caffemodel");
  EXPECT_EQ(one.net.SerializeAsString(), model.net.SerializeAsString());
  EXPECT_EQ(one.preprocessing.SerializeAsString(), preprocessing.SerializeAsString());
  EXPECT_EQ(one.training.SerializeAsString(), model.training.SerializeAsString());
  EXPECT_EQ(one.weights.run_id, model.weights.run_id);
  ASSERT_EQ(one.labels.size(), 10U);
  EXPECT_EQ(one.labels[9], "class 9");
  EXPECT_EQ(probabilities(one.net, one.weights, one.scores),
            probabilities(model.net, model.weights, model.scores));
  // Only what the scores need is in it.
  EXPECT_EQ(one.weights.blobs.size(), model.weights.blobs.size());
  // Caffe finds the weights where it seeks them, and skips the rest.
  CaffeLayout layout(std::string(RESNET_SOURCE_DIR) + "/tests/exchange/caffe_layout.proto");
  const std::string text = layout.text_of("NetParameter", read_file(dir_ / "one.caffemodel"));
  EXPECT_NE(text.find("name: \"fc\"\n  type: \"InnerProduct\""), std::string::npos);
}

TEST_F(ModelFiles, WithoutANetAreRefused) {
  NetParameter bare;
  LayerParameter* layer = bare.add_layer();
  layer->set_name("fc");
  set_blob(layer->add_blobs(), {1}, std::vector<float>{1});
  EXPECT_EQ(
      error(bare.SerializeAsString()),
      "m.caffemodel: there is no net inside, only weights; give the net's prototxt by --model");
  EXPECT_NE(error("").find("empty"), std::string::npos);
}

TEST_F(ModelFiles, WhatThisProgramDoesNotKnowIsRefused) {
  NetParameter net;
  ASSERT_TRUE(net.ParseFromString(read_file(snapshot())));
  net.clear_file_header();
  net.clear_file_checksum();
  ASSERT_EQ(parse_model_file(net.SerializeAsString(), "m").scores, "prob");
  NetParameter unknown = net;
  for (LayerParameter& layer : *unknown.mutable_layer()) {
    if (layer.name() != "pool") continue;
    // pool: STOCHASTIC, which would be read as MAX
    layer.mutable_pooling_param()->clear_pool();
    layer.mutable_pooling_param()->mutable_unknown_fields()->AddVarint(1, 2);
  }
  EXPECT_NE(error(unknown.SerializeAsString()).find("layer 'pool' has field 1"), std::string::npos);
  NetParameter foreign = net;
  for (LayerParameter& layer : *foreign.mutable_layer()) {
    if (layer.name() == "conv1_relu") layer.set_type("PReLU");
  }
  EXPECT_NE(error(foreign.SerializeAsString()).find("PReLU"), std::string::npos);
  NetParameter sizeless = net;
  sizeless.clear_training();
  sizeless.clear_preprocessing();
  EXPECT_NE(error(sizeless.SerializeAsString()).find("how large its images are"),
            std::string::npos);
}

// Caffe saves the net of the phase TRAIN, with its rules, Split layers and all.
TEST_F(ModelFiles, TheNetThatCaffeSavedIsFound) {
  const std::string dir = shared_dir() + "/caffe/";
  RESNET_NEEDS_FILE(dir + "train/init.caffemodel");
  const ModelFile tiny = read_model_file(dir + "forward_tiny64/tiny_bottleneck_64.caffemodel");
  EXPECT_EQ(tiny.image, (Shape{3, 64, 64}));
  EXPECT_FALSE(tiny.has_preprocessing);
  EXPECT_EQ(tiny.net.layer(tiny.net.layer_size() - 1).type(), "Softmax");

  // It says the size of its images only where its data layer crops.
  const std::string bytes = read_file(dir + "train/snap/main_iter_25.caffemodel");
  NetParameter trained;
  ASSERT_TRUE(trained.ParseFromString(bytes));
  bool cropped = false;
  for (LayerParameter& layer : *trained.mutable_layer()) {
    if (layer.type() != "Data") continue;
    cropped = layer.transform_param().crop_size() > 0;
    if (!cropped) layer.mutable_transform_param()->set_crop_size(32);
  }
  if (!cropped) {
    EXPECT_NE(error(bytes).find("how large its images are"), std::string::npos);
  }
  const ModelFile model = parse_model_file(trained.SerializeAsString(), "m");
  EXPECT_EQ(model.net.layer(0).type(), "Input");
  Net net(model.net, reference(), {}, {}, {});
  EXPECT_EQ(load_weights(net, model.weights).missing.size(), 0U);
}

}  // namespace
}  // namespace resnet::testing
