// What happens to values between blobs and tensors, number by number.
#include "resnet/exchange/state_dict.h"

#include <gtest/gtest.h>

#include <functional>

#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/prototxt.h"

namespace resnet::test {
namespace {

// One block of two convolutions of 2 channels; conv1 has a bias.
NetParameter small_net() {
  std::string text =
      "layer { name: 'data' type: 'Input' top: 'data' input_param { shape { dim: 1 "
      "dim: 3 dim: 32 dim: 32 } } }\n";
  const auto unit = [&](const std::string& name, const std::string& bottom, bool bias) {
    text += "layer { name: '" + name + "' type: 'Convolution' bottom: '" + bottom + "' top: '" +
            name + "' convolution_param { num_output: 2 kernel_size: 1 bias_term: " +
            (bias ? "true" : "false") + " } }\n";
    text += "layer { name: 'bn_" + name + "' type: 'BatchNorm' bottom: '" + name + "' top: '" +
            name + "' }\n";
    text += "layer { name: 'scale_" + name + "' type: 'Scale' bottom: '" + name + "' top: '" +
            name + "' scale_param { bias_term: true } }\n";
  };
  unit("conv1", "data", true);
  unit("a", "conv1", false);
  unit("b", "a", false);
  text +=
      "layer { name: 'sum' type: 'Eltwise' bottom: 'conv1' bottom: 'b' top: 'sum' }\n"
      "layer { name: 'pool' type: 'Pooling' bottom: 'sum' top: 'pool' pooling_param { pool: AVE "
      "global_pooling: true } }\n"
      "layer { name: 'fc' type: 'InnerProduct' bottom: 'pool' top: 'fc' inner_product_param { "
      "num_output: 1 } }\n";
  NetParameter net = parse_net_prototxt(text);
  float next = 1;
  for (const Parameter& parameter : build_graph(net, {}).parameters) {
    for (LayerParameter& layer : *net.mutable_layer()) {
      if (layer.name() != parameter.layer) continue;
      std::vector<float> values(static_cast<size_t>(parameter.shape.count()));
      for (float& value : values) value = next++;
      if (parameter.role == "factor") values[0] = 4;
      set_blob(layer.add_blobs(), parameter.shape, values);
    }
  }
  return net;
}

std::vector<float> blob(const NetParameter& net, const std::string& layer, int index) {
  for (const LayerParameter& candidate : net.layer()) {
    if (candidate.name() == layer) return blob_values(candidate.blobs(index), layer);
  }
  ADD_FAILURE() << layer;
  return {};
}

ExportOptions under_torchvision_names() {
  ExportOptions options;
  options.style = torchvision_names();
  return options;
}

std::string refusal_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST(StateDict, StatisticsAreDividedByTheirFactorAndTakeTheBias) {
  NetParameter net = small_net();
  const std::vector<float> sums = blob(net, "bn_conv1", 0), squares = blob(net, "bn_conv1", 1),
                           bias = blob(net, "conv1", 1);
  const TensorFile file = export_tensors(net, under_torchvision_names());
  EXPECT_EQ(file.find("bn1.running_mean")->data,
            (std::vector<float>{sums[0] / 4 - bias[0], sums[1] / 4 - bias[1]}));
  EXPECT_EQ(file.find("bn1.running_var")->data,
            (std::vector<float>{squares[0] / 4, squares[1] / 4}));
  EXPECT_EQ(file.find("layer1.0.bn2.running_mean")->data[0], blob(net, "bn_b", 0)[0] / 4);
  EXPECT_EQ(file.find("layer1.0.conv1.weight")->data, blob(net, "a", 0));
  EXPECT_EQ(file.find("layer1.0.bn1.weight")->data, blob(net, "scale_a", 0));
  EXPECT_EQ(file.find("layer1.0.bn1.bias")->data, blob(net, "scale_a", 1));
  EXPECT_EQ(file.tensors.size(), 3 * 5 + 2U);

  const ImportReport report = import_tensors(file, {}, &net);
  EXPECT_TRUE(report.complete()) << report.str();
  EXPECT_FALSE(report.folded.has_value()) << "the file says that it is of our convention";
  EXPECT_EQ(blob(net, "bn_conv1", 0), file.find("bn1.running_mean")->data);
  EXPECT_EQ(blob(net, "bn_conv1", 2), std::vector<float>{1});
  EXPECT_EQ(blob(net, "conv1", 1), (std::vector<float>{0, 0}));
  // From here on nothing changes.
  const TensorFile again = export_tensors(net, under_torchvision_names());
  for (const NamedTensor& tensor : file.tensors) {
    EXPECT_EQ(tensor.data, again.find(tensor.name)->data) << tensor.name;
  }
}

TEST(StateDict, NormalisationIsFoldedBothWays) {
  NetParameter net = small_net();
  const std::vector<float> before = blob(net, "conv1", 0);  // 2 filters of B,G,R
  Preprocessing* const preprocessing = net.mutable_preprocessing();
  for (const float mean : {51.0F, 102.0F, 127.5F}) preprocessing->add_mean_value(mean);
  preprocessing->set_scale(0.5F);
  preprocessing->add_class_name("cat");
  ExportOptions options = under_torchvision_names();
  options.fold_input = true;
  options.input.std = {0.25, 0.5, 1};
  const TensorFile file = export_tensors(net, options);
  const std::vector<float>& w = file.find("conv1.weight")->data;
  for (size_t k = 0; k < 2; ++k) {
    EXPECT_FLOAT_EQ(w[3 * k], before[3 * k + 2] * 255 * 0.25F * 0.5F);
    EXPECT_FLOAT_EQ(w[3 * k + 1], before[3 * k + 1] * 255 * 0.5F * 0.5F);
    EXPECT_FLOAT_EQ(w[3 * k + 2], before[3 * k] * 255 * 0.5F);
  }
  EXPECT_EQ(file.metadata.at("resnet.mean"), "0.5,0.4,0.2");
  EXPECT_EQ(file.metadata.at("resnet.std"), "0.25,0.5,1");

  const ImportReport report = import_tensors(file, {}, &net);
  ASSERT_TRUE(report.folded.has_value());
  EXPECT_EQ(report.folded->mean[2], 0.2);
  EXPECT_FALSE(report.preprocessing->has_scale());
  EXPECT_EQ(report.preprocessing->class_name(0), "cat");
  EXPECT_FLOAT_EQ(report.preprocessing->mean_value(0), 51);
  const std::vector<float> after = blob(net, "conv1", 0);
  for (size_t i = 0; i < after.size(); ++i) EXPECT_FLOAT_EQ(after[i], before[i] / 2);

  ImportOptions raw;
  raw.fold_input = false;
  EXPECT_FALSE(import_tensors(file, raw, &net).preprocessing.has_value());
  EXPECT_EQ(blob(net, "conv1", 0), w);
}

TEST(StateDict, RefusesWhatCannotBeFolded) {
  NetParameter net = small_net();
  ExportOptions options = under_torchvision_names();
  options.fold_input = true;
  const auto refusal = [&] { return refusal_of([&] { export_tensors(net, options); }); };
  EXPECT_NE(refusal().find("--mean"), std::string::npos);
  net.mutable_preprocessing()->mutable_mean()->mutable_shape()->add_dim(3);
  EXPECT_NE(refusal().find("mean image"), std::string::npos);
  net.mutable_preprocessing()->clear_mean();
  EXPECT_EQ(refusal(), "");
  options.style.reset();
  EXPECT_NE(refusal().find("--names=caffe"), std::string::npos);
}

TEST(StateDict, NotesAnotherEps) {
  NetParameter net = small_net();
  const TensorFile file = export_tensors(net, under_torchvision_names());
  EXPECT_TRUE(import_tensors(file, {}, &net).notes.empty());
  net.mutable_layer(2)->mutable_batch_norm_param()->set_eps(1e-3F);
  const std::vector<std::string> notes = import_tensors(file, {}, &net).notes;
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_NE(notes[0].find("bn_conv1"), std::string::npos) << notes[0];
}

TEST(StateDict, BadMetadataIsAnError) {
  NetParameter net = small_net();
  TensorFile file = export_tensors(net, under_torchvision_names());
  file.path = "x";
  file.metadata["resnet.preprocessing"] = "no: such field";
  EXPECT_THROW(import_tensors(file, {}, &net), DataError);
  file.metadata.clear();
  for (const char* mean : {"", "1,2", "1,2,3,4", "1,2,x", "1;2;3"}) {
    file.metadata["resnet.mean"] = mean;
    EXPECT_THROW(import_tensors(file, {}, &net), DataError) << mean;
  }
}

}  // namespace
}  // namespace resnet::test
