// ONNX export: what is written, what is refused, and that the model computes what the net computes, by an
// evaluation that shares no code with our ops. onnx_runtime_test.cpp asks ONNX's own software.
#include "resnet/exchange/onnx.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "exchange/onnx_nets.h"
#include "io/io_test_util.h"
#include "net/small_nets.h"
#include "resnet/base/error.h"
#include "resnet/base/random.h"
#include "resnet/eval/weights.h"
#include "resnet/io/files.h"
#include "resnet/proto/onnx.pb.h"

namespace resnet::test {
namespace {

using testing::error_of;
using testing::layer;
using testing::parse_net;
using testing::ScratchDirectory;

onnx::ModelProto read_model(const std::string& path) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(read_file(path)));
  return model;
}

// A shape as text: "N,3,8,8"; "?" for a dimension without size and name.
std::string dims_of(const onnx::ValueInfoProto& info) {
  std::string text;
  for (const auto& dim : info.type().tensor_type().shape().dim()) {
    text += text.empty() ? "" : ",";
    text += dim.has_dim_value()   ? std::to_string(dim.dim_value())
            : dim.has_dim_param() ? dim.dim_param()
                                  : "?";
  }
  return text;
}

const onnx::TensorProto* initializer(const onnx::ModelProto& model, const std::string& name) {
  for (const auto& tensor : model.graph().initializer()) {
    if (tensor.name() == name) return &tensor;
  }
  return nullptr;
}

std::vector<float> floats_of(const onnx::TensorProto* tensor) {
  std::vector<float> values(tensor->raw_data().size() / sizeof(float));
  std::memcpy(values.data(), tensor->raw_data().data(), tensor->raw_data().size());
  return values;
}

class Onnx : public ::testing::Test {
 protected:
  OnnxInfo write(const WeightedNet& net, const OnnxOptions& options = {}) {
    write_onnx(path_, net.weighted, options);
    return read_onnx_info(path_);
  }
  // Of all outputs of the written model.
  double check(WeightedNet& net, const OnnxInfo& info, int64_t batch) {
    const Values input = net.input(batch);
    return difference(evaluate_onnx(path_, input, info.outputs),
                      net.run(input, batch, info.outputs));
  }
  std::string refusal_of(const std::string& text, const OnnxOptions& options = {}) {
    return error_of<ConfigError>([&] { write_onnx(path_, parse_net(text), options); });
  }

  ScratchDirectory scratch_;
  const std::string path_ = scratch_ / "net.onnx";
};

constexpr double kBound = 2e-6;  // of the largest value; float32 against sums in double precision

TEST_F(Onnx, ComputesWhatTheNetComputes) {
  for (const OnnxCase& one : onnx_cases()) {
    WeightedNet net(one.text);
    for (const bool fold : {false, true}) {
      const OnnxInfo info = write(net, {.fold_bn = fold});
      EXPECT_EQ(info.operators.contains("BatchNormalization"),
                one.text.find("BatchNorm") != std::string::npos && !(fold && one.folds))
          << one.name << " fold " << fold;
      for (const int64_t batch : {1, 3}) {
        EXPECT_LE(check(net, info, batch), kBound)
            << one.name << " fold " << fold << " batch " << batch;
      }
    }
  }
}

// Poolings of all kinds; not all of them are possible for a size.
std::vector<std::string> pooling_params() {
  std::vector<std::string> params;
  for (const std::string kind : {"MAX round_mode: CEIL", "MAX round_mode: FLOOR",
                                 "AVE round_mode: CEIL", "AVE round_mode: FLOOR"}) {
    for (const int kernel : {2, 3, 5}) {
      for (const int stride : {1, 2, 3}) {
        for (int pad = 0; pad < std::min(kernel, 3); ++pad) {
          params.push_back(
              "pooling_param { pool: " + kind + " kernel_size: " + std::to_string(kernel) +
              " stride: " + std::to_string(stride) + " pad: " + std::to_string(pad) + " }");
        }
      }
    }
  }
  return params;
}

TEST_F(Onnx, PoolsAsCaffeForAllSizes) {
  int nets = 0, impossible = 0, corrected = 0;
  for (const std::string& param : pooling_params()) {
    for (int size = 5; size <= 8; ++size) {
      std::unique_ptr<WeightedNet> net;
      try {
        net = std::make_unique<WeightedNet>(input_x("1 2 " + std::to_string(size) + " 7") +
                                            layer("y", "Pooling", "x", "y", param));
      } catch (const ConfigError&) {
        ++impossible;  // the last window would lie outside
        continue;
      }
      const OnnxInfo info = write(*net);
      EXPECT_LE(check(*net, info, 2), kBound) << param << " of " << size;
      corrected += info.operators.contains("Mul");
      ++nets;
    }
  }
  EXPECT_EQ(nets + impossible, 384);
  EXPECT_GT(nets, 360);
  EXPECT_GT(corrected, 0);
  EXPECT_LT(corrected, nets / 4) << "most poolings are one node";
}

TEST_F(Onnx, EvaluationSeesOtherWeights) {
  WeightedNet net(onnx_cases().front().text);
  const OnnxInfo info = write(net);
  ASSERT_LE(check(net, info, 2), kBound);
  onnx::ModelProto model = read_model(path_);
  for (const char* const name :
       {"conv1/weight", "bn_conv1/variance", "scale_conv1/beta", "fc1000/weight"}) {
    onnx::ModelProto changed = model;
    for (auto& tensor : *changed.mutable_graph()->mutable_initializer()) {
      if (tensor.name() != name) continue;
      std::vector<float> values = floats_of(&tensor);
      for (float& value : values) value *= 1.25F;
      tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    }
    write_file_atomic(path_, {changed.SerializeAsString()});
    EXPECT_GT(check(net, info, 2), 10 * kBound) << name;
  }
}

TEST_F(Onnx, Structure) {
  WeightedNet net(onnx_cases().front().text);
  const OnnxInfo info =
      write(net, {.opset = 18, .producer_version = "1.2", .metadata = {{"k", "v"}}});
  const onnx::ModelProto model = read_model(path_);
  EXPECT_EQ(model.ir_version(), 8);
  EXPECT_EQ(info.opset, 18);
  EXPECT_EQ(model.producer_name(), "resnet");
  EXPECT_EQ(model.producer_version(), "1.2");
  EXPECT_EQ(model.graph().name(), "published");
  EXPECT_EQ(info.inputs, std::vector<std::string>{"data"});
  EXPECT_EQ(info.outputs, std::vector<std::string>{"prob"});
  EXPECT_EQ(dims_of(model.graph().input(0)), "N,3,18,18");
  EXPECT_EQ(dims_of(model.graph().output(0)), "N,10");
  EXPECT_EQ(info.metadata.at("k"), "v");
  EXPECT_EQ(info.metadata.at("batch_norm"), "kept");
  EXPECT_EQ(info.operators.at("Conv"), 5);
  EXPECT_EQ(info.operators.at("BatchNormalization"), 5);
  EXPECT_FALSE(info.operators.contains("Mul"));
  EXPECT_TRUE(info.values.contains("fc1000"));
  // Blobs that layers change in place: the last value has the name.
  EXPECT_TRUE(info.values.contains("conv1"));
  EXPECT_TRUE(info.values.contains("conv1/conv1"));
  const auto* const weight = initializer(model, "conv1/weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(std::vector<int64_t>(weight->dims().begin(), weight->dims().end()),
            (std::vector<int64_t>{6, 3, 7, 7}));
  const HostArray own = net.net->read_parameter(0);
  EXPECT_EQ(floats_of(weight), own.data) << "as they are";
  for (const auto& value : model.graph().value_info())
    EXPECT_EQ(dims_of(value)[0], 'N') << value.name();
}

TEST_F(Onnx, StatisticsAreDividedByTheirFactor) {
  WeightedNet net(input_x("1 4 6 5") + layer("n", "BatchNorm", "x", "n"));
  write(net);
  const std::vector<float> mean = floats_of(initializer(read_model(path_), "n/mean"));
  const HostArray sums = net.net->read_parameter(0), factor = net.net->read_parameter(2);
  for (size_t c = 0; c < mean.size(); ++c) {
    EXPECT_NEAR(mean[c] * factor.data[0], sums.data[c], 1e-6) << c;
  }
  // A net that was never trained has the factor 0.
  net.net->reset_statistics();
  net.weighted = with_weights(*net.net, std::nullopt);
  const OnnxInfo info = write(net);
  EXPECT_EQ(floats_of(initializer(read_model(path_), "n/variance"))[0], 0.0F);
  EXPECT_LE(check(net, info, 2), kBound);
}

TEST_F(Onnx, DimensionsThatFollowTheBatch) {
  const std::map<std::string, std::string> expected = {
      {"concat_images", "?,4,7,5"}, {"flatten_images", "?,7,5"}, {"flatten_pixels", "N,4,35"},
      {"product_of_rows", "N,4,5"}, {"shortcut", "N,7,4,3"},     {"two_inputs", "N,4,7,5"},
      {"product_of_images", "N,5"}};
  size_t seen = 0;
  for (const OnnxCase& one : onnx_cases()) {
    const auto dims = expected.find(one.name);
    if (dims == expected.end()) continue;
    ++seen;
    write(WeightedNet(one.text));
    EXPECT_EQ(dims_of(read_model(path_).graph().output(0)), dims->second) << one.name;
    if (one.name == "concat_images") continue;
    write(WeightedNet(one.text), {.batch = 3});
    EXPECT_EQ(dims_of(read_model(path_).graph().input(0))[0], '3') << one.name;
  }
  EXPECT_EQ(seen, expected.size());
}

TEST_F(Onnx, WeightsThatFollowTheBatchNeedAFixedOne) {
  WeightedNet net(input_x("2 3 4 4") +
                  layer("y", "Scale", "x", "y", "scale_param { axis: 0 num_axes: 2 }"));
  const std::string refusal =
      error_of<ConfigError>([&] { write_onnx(path_, net.weighted, OnnxOptions{}); });
  EXPECT_EQ(refusal,
            "net: layer 'y' (Scale): the shape of its gamma depends on the number of images\n"
            "net: the net does not take batches of any size; --batch=N writes a model for N");
  const OnnxInfo info = write(net, {.batch = 2});
  EXPECT_LE(check(net, info, 2), kBound);
}

TEST_F(Onnx, RefusesAllAtOnce) {
  const std::string text =
      "name: 'bad' layer { name: 'drawn' type: 'DummyData' top: 'd' dummy_data_param { shape { "
      "dim: 2 "
      "dim: 3 dim: 4 dim: 4 } } } "
      "layer { name: 'in' type: 'Input' top: 'label' input_param { shape { dim: 2 } } }\n" +
      layer("n", "BatchNorm", "d", "n", "batch_norm_param { use_global_stats: false }") +
      layer("f", "InnerProduct", "n", "f", "inner_product_param { num_output: 3 }") +
      layer("loss", "SoftmaxWithLoss", "f,label", "loss") +
      layer("accuracy", "Accuracy", "f,label", "accuracy");
  OnnxOptions options;
  options.graph.locate = [](int i) { return "bad.prototxt:" + std::to_string(i + 1); };
  const std::string with_labels =
      "compares scores with labels, which a model for use does not; export the deploy net";
  EXPECT_EQ(
      refusal_of(text, options),
      "bad.prototxt:1: layer 'drawn' (DummyData): draws its values, which a model does not; use an "
      "Input layer\n"
      "bad.prototxt:3: layer 'n' (BatchNorm): takes the statistics of each batch "
      "(use_global_stats: false); a model has fixed ones\n"
      "bad.prototxt:5: layer 'loss' (SoftmaxWithLoss): " +
          with_labels +
          "\n"
          "bad.prototxt:6: layer 'accuracy' (Accuracy): " +
          with_labels);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(Onnx, RefusesBadOptionsAndNets) {
  const std::string text = input_x("1 3 4 4") + layer("y", "ReLU", "x", "y");
  EXPECT_EQ(refusal_of(text, {.opset = 16}),
            "--opset=16: models are written for 17 to " + std::to_string(kLastOnnxOpset));
  EXPECT_NE(refusal_of(text, {.opset = kLastOnnxOpset + 1}), "");
  EXPECT_EQ(
      refusal_of(input_x("1 3 4 4") + "layer { name: 's' type: 'Split' bottom: 'x' top: 'y' }"),
      "net: the net has no output");
  EXPECT_EQ(refusal_of(input_x("1 3 4 4") + layer("y", "ReLU", "x", "x")),
            "net: 'x' is an input and, changed in place, an output; give the output a name");
  EXPECT_NE(refusal_of(input_x("1 3 4 4") + layer("y", "Relu", "x", "y")).find("'Relu'"),
            std::string::npos);
  const std::string product = input_x("1 3") + layer("y", "InnerProduct", "x", "y",
                                                     "inner_product_param { num_output: 2 }");
  EXPECT_EQ(error_of<DataError>([&] { write_onnx(path_, parse_net(product), {}); }),
            "layer 'y', blob 0 (weight): the net holds no such blob");
  NetParameter other = WeightedNet(product).weighted;
  other.mutable_layer(1)->mutable_inner_product_param()->set_num_output(3);
  EXPECT_EQ(error_of<DataError>([&] { write_onnx(path_, other, {}); }),
            "layer 'y', blob 0 (weight) has shape (2,3), the net wants (3,3)");
}

TEST_F(Onnx, Metadata) {
  WeightedNet net(input_x("1 3 4 4") + layer("y", "ReLU", "x", "y"));
  Preprocessing& p = *net.weighted.mutable_preprocessing();
  p.set_resize_rule(Preprocessing::SHORT_SIDE);
  p.set_resize_size(256);
  p.set_crop_size(224);
  for (const float value : {104.0F, 117.25F, 123.0F}) p.add_mean_value(value);
  p.set_scale(0.017F);
  p.add_class_name("tench, Tinca tinca");
  p.add_class_name("goldfish");
  const OnnxInfo info = write(net, {.fold_bn = true});
  const std::map<std::string, std::string> expected = {
      {"batch_norm", "folded"},
      {"class_names", "tench, Tinca tinca\ngoldfish"},
      {"preprocessing.channel_order", "BGR"},
      {"preprocessing.crop_size", "224"},
      {"preprocessing.exif_orientation", "false"},
      {"preprocessing.mean_value", "104,117.25,123"},
      {"preprocessing.resize_rule", "SHORT_SIDE"},
      {"preprocessing.resize_size", "256"},
      {"preprocessing.scale", "0.017"}};
  EXPECT_EQ(info.metadata, expected);

  // A mean image: 1, 0.5, 2 as little-endian floats.
  Preprocessing mean;
  for (const int64_t dim : {3, 1, 1}) mean.mutable_mean()->mutable_shape()->add_dim(dim);
  for (const float value : {1.0F, 0.5F, 2.0F}) mean.mutable_mean()->add_data(value);
  *net.weighted.mutable_preprocessing() = mean;
  const OnnxInfo with_image = write(net);
  EXPECT_EQ(with_image.metadata.at("preprocessing.mean_image"), "AACAPwAAAD8AAABA");
  EXPECT_EQ(with_image.metadata.at("preprocessing.mean_image_shape"), "3,1,1");
  EXPECT_EQ(with_image.metadata.at("preprocessing.resize_rule"), "AS_IS");
  mean.mutable_mean()->add_data(0);
  *net.weighted.mutable_preprocessing() = mean;
  EXPECT_EQ(write(net).metadata.at("preprocessing.mean_image"), "AACAPwAAAD8AAABAAAAAAA==");
}

TEST_F(Onnx, NamesStayApart) {
  // A blob with the name that a weight would have.
  WeightedNet net(input_x("1 3 4 4") + layer("y", "Convolution", "x", "y/weight",
                                             "convolution_param { num_output: 2 kernel_size: 1 }"));
  const OnnxInfo info = write(net);
  EXPECT_EQ(info.outputs, std::vector<std::string>{"y/weight"});
  EXPECT_NE(initializer(read_model(path_), "y/weight_2"), nullptr);
  EXPECT_LE(check(net, info, 1), kBound);
}

TEST_F(Onnx, EvaluationRefusesWhatItCannotRead) {
  WeightedNet net(input_x("1 3 4 4") + layer("y", "ReLU", "x", "y"));
  write(net);
  const Values input = net.input(1);
  const auto error = [&](const Values& fed, const std::string& name) {
    return error_of<DataError>([&] { evaluate_onnx(path_, fed, {name}); });
  };
  EXPECT_EQ(error({}, "y"), path_ + ": input 'x' is missing");
  EXPECT_EQ(error(input, "z"), path_ + ": the model has no value 'z'");
  Values narrow = input;
  narrow["x"].shape = Shape{1, 3, 4, 2};
  EXPECT_EQ(error(narrow, "y"), path_ + ": input 'x' is not of shape (1,3,4,2)");
  onnx::ModelProto model = read_model(path_);
  model.mutable_graph()->mutable_node(0)->set_op_type("Tanh");
  write_file_atomic(path_, {model.SerializeAsString()});
  EXPECT_EQ(error(input, "y"),
            path_ + ": node 'y' (Tanh) is none of the operators that `resnet export` writes");
  write_file_atomic(path_, {"no model"});
  EXPECT_EQ(error(input, "y"), path_ + ": not an ONNX model, or damaged");
}

TEST_F(Onnx, EvaluationSurvivesDamagedFiles) {
  int computed = 0, refused = 0;
  for (const OnnxCase& one : onnx_cases()) {
    const bool chosen = one.name == "pool_average_corrected" || one.name == "shortcut" ||
                        one.name == "product_of_rows" || one.name == "conv_groups" ||
                        one.name == "norm_scale" || one.name == "concat";
    if (!chosen) continue;
    WeightedNet net(one.text);
    const OnnxInfo info = write(net);
    const Values input = net.input(1);
    const std::string good = read_file(path_);
    Random random(5, 0, Use::test);
    for (int i = 0; i < 100; ++i) {
      std::string bad = good;
      bad[random.below(static_cast<uint32_t>(bad.size()))] ^=
          static_cast<char>(1U << random.below(8));
      std::ofstream(path_, std::ios::binary) << bad;
      try {
        evaluate_onnx(path_, input, info.outputs);
        ++computed;
      } catch (const Error&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(computed, 50);  // a weight or a name
  EXPECT_GT(refused, 50);
}

}  // namespace
}  // namespace resnet::test
