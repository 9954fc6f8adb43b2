// What a wrong net is answered, word for word.
#include "graph/net_text.h"

namespace resnet::test {
namespace {

// The error of a layer "y" that reads "x".
std::string layer_error(const std::string& dims, const std::string& type,
                        const std::string& fields = "", Phase phase = TEST) {
  return errors_of(input_text(dims) + layer_text(type, fields), {.phase = phase});
}

TEST(GraphErrors, UnknownType) {
  EXPECT_EQ(layer_error("2 3", "Relu"),
            "net:1: layer 'y': unknown layer type 'Relu'; did you mean 'ReLU'?");
  EXPECT_EQ(layer_error("2 3", "Transformer"),
            "net:1: layer 'y': unknown layer type 'Transformer'; docs/layers.md lists the types");
  EXPECT_EQ(layer_error("2 3", ""),
            "net:1: layer 'y': has no type; docs/layers.md lists the types");
}

TEST(GraphErrors, MissingBottom) {
  EXPECT_EQ(errors_of(input_text("2 3", "conv1") +
                      "layer { name: 'y' type: 'ReLU' bottom: 'con1' top: 'y' }"),
            "net:1: layer 'y': bottom 'con1' is not the top of any layer; did you mean 'conv1'?");
  EXPECT_EQ(
      errors_of("layer { name: 'y' type: 'ReLU' bottom: 'data' top: 'y' }"),
      "net:0: layer 'y': bottom 'data' is not the top of any layer; name a top of a layer above "
      "or an input");
  EXPECT_EQ(errors_of("layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' }" + input_text("2 3")),
            "net:0: layer 'y': bottom 'x' comes from the later layer 'x_in' at net:1; move that "
            "layer up");
  EXPECT_EQ(errors_of("layer { name: 'd' type: 'Input' top: 'x' include { phase: TRAIN } }" +
                      layer_text("ReLU")),
            "net:1: layer 'y': bottom 'x' comes from layer 'd' at net:0, which takes no part in "
            "phase TEST; check its include and exclude rules");
}

TEST(GraphErrors, CountsOfBottomsAndTops) {
  EXPECT_EQ(errors_of(input_text("2 3") +
                      "layer { name: 'y' type: 'ReLU' bottom: 'x' bottom: 'x' top: 'y' top: 'z' }"),
            "net:1: layer 'y': has 2 bottoms; ReLU takes 1\n"
            "net:1: layer 'y': has 2 tops; ReLU takes 1");
  EXPECT_EQ(layer_error("2 3", "Eltwise"),
            "net:1: layer 'y': has 1 bottom; Eltwise takes at least 2");
  EXPECT_EQ(layer_error("2 3", "Input"), "net:1: layer 'y': has 1 bottom; Input takes none");
  EXPECT_EQ(errors_of("layer { name: 'd' type: 'Data' top: 'a' top: 'b' top: 'c' }"),
            "net:0: layer 'd': has 3 tops; Data takes at most 2");
}

TEST(GraphErrors, Names) {
  EXPECT_EQ(errors_of(input_text("2 3") + layer_text("ReLU") +
                      "layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'z' }"),
            "net:2: layer 'y': the layer at net:1 has the same name; change one");
  EXPECT_EQ(errors_of(input_text("2 3") + "layer { type: 'ReLU' bottom: 'x' top: 'y' }"),
            "net:1: layer #2: has no name; give it one, since weights are stored by layer name");
  EXPECT_EQ(
      errors_of(input_text("2 3") + layer_text("ReLU") +
                "layer { name: 'z' type: 'ReLU' bottom: 'x' top: 'y' }"),
      "net:2: layer 'z': top 'y' is already written by layer 'y' at net:1; give it another name");
  EXPECT_EQ(
      errors_of(input_text("2 3") +
                "layer { name: 's' type: 'Split' bottom: 'x' top: 'a' top: 'a' }"),
      "net:1: layer 's': top 'a' is already written by layer 's' at net:1; give it another name");
  EXPECT_EQ(errors_of("input: 'x' input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1 " +
                      input_text("2 3")),
            "net:0: layer 'x_in': top 'x' is already written by the net's inputs; give it another "
            "name");
}

TEST(GraphErrors, SharedParameters) {
  const std::string fields =
      "type: 'InnerProduct' bottom: 'x' inner_product_param { num_output: 3 } param { name: 'w' }";
  EXPECT_EQ(errors_of(input_text("2 3") + "layer { name: 'a' top: 'a' " + fields +
                      "} layer { name: 'b' top: 'b' " + fields + "}"),
            "net:2: layer 'b': shares the blob 'w' (param name) with layer 'a'; sharing is not "
            "supported, remove the param name");
  EXPECT_EQ(errors_of(input_text("2 3") + "layer { name: 'a' top: 'a' " + fields + "}"),
            "no error");
}

TEST(GraphErrors, FieldsPerLayer) {
  EXPECT_EQ(layer_error("2 3", "ReLU", "param { lr_mult: 1 }"),
            "net:1: layer 'y': has 1 param entries for 0 blobs; remove the surplus");
  EXPECT_EQ(layer_error("2 3", "ReLU", "loss_weight: 1"),
            "net:1: layer 'y': has a loss_weight for a top that is no loss; remove it");
  EXPECT_EQ(layer_error("2 3", "ReLU", "loss_weight: 0"), "no error");
  EXPECT_EQ(layer_error("2 3", "ReLU", "loss_weight: 0 loss_weight: 0"),
            "net:1: layer 'y': has 2 loss_weight values for 1 top; give one per top or none");
  EXPECT_EQ(layer_error("2 3", "ReLU", "propagate_down: true propagate_down: true"),
            "net:1: layer 'y': has 2 propagate_down values for 1 bottom; give one per bottom or "
            "none");
  EXPECT_EQ(layer_error("2 3", "ReLU", "include { phase: TEST } exclude { phase: TRAIN }"),
            "net:1: layer 'y': has both include and exclude rules; keep one kind");
}

TEST(GraphErrors, Inputs) {
  EXPECT_EQ(errors_of("layer { name: 'd' type: 'Data' top: 'x' }" + layer_text("ReLU")),
            "net:0: layer 'd': the shape of 'x' is not known");
  EXPECT_EQ(errors_of("layer { name: 'i' type: 'Input' top: 'x' }" + layer_text("ReLU")),
            "net:0: layer 'i': input_param.shape is missing; set it once or once per top");
  EXPECT_EQ(errors_of(input_text("2 0") + layer_text("ReLU")),
            "net:0: layer 'x_in': 'x' has the shape (2,0); every dimension must be at least 1");
  EXPECT_EQ(errors_of("input: 'x' input_dim: 2 input_dim: 3 " + layer_text("ReLU")),
            "net: the net has 2 input_dim values for 1 inputs; give each input four (N, C, H, W)");
  EXPECT_EQ(errors_of("input: 'x' input: 'x' input_shape { dim: 1 } input_shape { dim: 1 }" +
                      layer_text("ReLU")),
            "net: input 'x' is declared twice; remove one");
  EXPECT_EQ(errors_of("input: 'x' input_shape { dim: -1 }" + layer_text("ReLU")),
            "net: shape has a negative dimension -1");
  EXPECT_EQ(
      errors_of("input: 'x' input_shape { dim: 9223372036854775807 dim: 2 }" + layer_text("ReLU")),
      "net: shape (9223372036854775807,2) has more elements than 2^63");
  EXPECT_EQ(errors_of("layer { name: 'd' type: 'DummyData' top: 'a' top: 'b' dummy_data_param { "
                      "num: 1 num: 1 num: 1 channels: 1 height: 1 width: 1 } }"),
            "net:0: layer 'd': dummy_data_param.num is set 3 times for 2 tops; set it once or once "
            "per top");
}

TEST(GraphErrors, SizesBeyondMemory) {
  EXPECT_EQ(layer_error("1 1 1 1", "Convolution",
                        "convolution_param { num_output: 1048576 kernel_size: 65536 pad: 65536 }"),
            "net:1: layer 'y': a blob of the shape (1048576,1,65536,65536) has more than 2^48 "
            "elements; check the sizes");
  EXPECT_EQ(layer_error("1 1 1 1", "Convolution",
                        "convolution_param { num_output: 1 kernel_h: 4294967295 kernel_w: 1 "
                        "dilation: 4294967295 }"),
            "net:1: layer 'y': kernel_size is 4294967295; at most 2147483647 is possible");
}

TEST(GraphErrors, EmptyPhase) {
  EXPECT_EQ(errors_of("layer { name: 'a' type: 'ReLU' include { phase: TEST } }", {.phase = TRAIN}),
            "net: no layer takes part in phase TRAIN; check the include and exclude rules");
}

TEST(GraphErrors, Convolution) {
  const auto error = [](const std::string& dims, const std::string& fields) {
    return layer_error(dims, "Convolution", "convolution_param { " + fields + " }");
  };
  EXPECT_EQ(error("1 3 4 4", "kernel_size: 3"),
            "net:1: layer 'y': convolution_param has no num_output; say how many channels to make");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2"),
            "net:1: layer 'y': kernel_size is missing; set it, or kernel_h and kernel_w");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2 kernel_h: 3"),
            "net:1: layer 'y': kernel_h and kernel_w belong together; set both");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3"),
            "net:1: layer 'y': both kernel_size and kernel_h or kernel_w are set; keep one form");
  EXPECT_EQ(
      error("1 3 4 4", "num_output: 2 kernel_size: 1 kernel_size: 1 kernel_size: 1"),
      "net:1: layer 'y': kernel_size is set 3 times; set it once, or once each for height and "
      "width");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2 kernel_size: 7 pad: 1"),
            "net:1: layer 'y': Convolution: kernel of extent 7 is larger than its padded input of "
            "extent 6; src has shape (1,3,4,4)");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2 kernel_size: 1 group: 2"),
            "net:1: layer 'y': Convolution: groups = 2 must divide the 3 input and the 2 output "
            "channels");
  EXPECT_EQ(error("1 3 4 4", "num_output: 2 kernel_size: 1 group: 0"),
            "net:1: layer 'y': Convolution: groups = 0 must divide the 3 input and the 2 output "
            "channels");
  EXPECT_NE(error("1 3 4 4", "num_output: 2 kernel_size: 1 stride: 0"), "no error");
  EXPECT_NE(error("1 3 4 4", "num_output: 2 kernel_size: 0"), "no error");
  EXPECT_EQ(error("1 3", "num_output: 2 kernel_size: 1"),
            "net:1: layer 'y': the bottom must have the shape (N,C,H,W), got (1,3)");
}

TEST(GraphErrors, OtherLayers) {
  EXPECT_EQ(layer_error("4 3", "BatchNorm", "batch_norm_param { group_size: 3 }", TRAIN),
            "net:1: layer 'y': BatchNorm: the batch of 4 is not a multiple of group_size = 3");
  EXPECT_EQ(
      layer_error("4 3", "BatchNorm", "batch_norm_param { moving_average_fraction: 5.5 }", TRAIN),
      "net:1: layer 'y': moving_average_fraction must be in [0, 1], got 5.500000");
  EXPECT_EQ(
      layer_error("4 3", "BatchNorm", "param { lr_mult: 1 }"),
      "net:1: layer 'y': a param entry has an lr_mult other than 0, but BatchNorm's blobs are "
      "statistics, not learned; write lr_mult: 0 or drop the entry");
  EXPECT_EQ(layer_error("4", "BatchNorm"),
            "net:1: layer 'y': the bottom must have channels at axis 1, got the shape (4)");
  EXPECT_EQ(errors_of(input_text("2 3") + input_text("3", "g") +
                      "layer { name: 'y' type: 'Scale' bottom: 'x' bottom: 'g' top: 'y' }"),
            "net:2: layer 'y': Scale with two bottoms (a computed gamma) is not supported; only a "
            "learned gamma is");
  EXPECT_EQ(
      layer_error("2 3", "Scale", "scale_param { num_axes: 2 }"),
      "net:1: layer 'y': gamma covers 2 axes from axis 1 on, beyond the shape (2,3); lower axis "
      "or num_axes");
  EXPECT_EQ(
      layer_error("2 3 4 4", "Pooling", "pooling_param { global_pooling: true kernel_size: 2 }"),
      "net:1: layer 'y': global_pooling takes the whole image, but a kernel size is set; remove "
      "one of both");
  EXPECT_EQ(
      layer_error("2 3 4 4", "Pooling", "pooling_param { kernel_size: 5 }"),
      "net:1: layer 'y': Pooling: kernel of extent 5 is larger than its padded input of extent "
      "4; src has shape (2,3,4,4)");
  EXPECT_EQ(
      layer_error("2 3", "InnerProduct"),
      "net:1: layer 'y': inner_product_param has no num_output; say how many outputs to make");
  EXPECT_EQ(layer_error("2 3", "Softmax", "softmax_param { axis: 2 }"),
            "net:1: layer 'y': axis 2 is out of range for shape (2,3)");
  EXPECT_EQ(layer_error("2 3", "Dropout", "dropout_param { dropout_ratio: 1 }"),
            "net:1: layer 'y': dropout_ratio is 1.000000; it must be at least 0 and below 1");
  EXPECT_EQ(
      layer_error("2 3 4", "Flatten", "flatten_param { axis: 2 end_axis: 1 }"),
      "net:1: layer 'y': flatten_param.axis 2 lies behind end_axis 1 in the shape (2,3,4); swap "
      "them");
  EXPECT_EQ(layer_error("2 3 4 4", "IdentityShortcut", "identity_shortcut_param { num_output: 2 }"),
            "net:1: layer 'y': IdentityShortcut: num_output = 2 is less than the 3 channels of src "
            "(2,3,4,4)");
}

TEST(GraphErrors, OfSeveralBottoms) {
  const std::string inputs = input_text("2 3", "a") + input_text("2 4", "b");
  EXPECT_EQ(
      errors_of(inputs + "layer { name: 'y' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'y' }"),
      "net:2: layer 'y': Eltwise: an input has shape (2,4), expected (2,3)");
  EXPECT_EQ(
      errors_of(input_text("2 3", "a") + input_text("2 3", "b") +
                "layer { name: 'y' type: 'Eltwise' bottom: 'a' bottom: 'b' top: 'y' "
                "eltwise_param { coeff: 1 } }"),
      "net:2: layer 'y': there are 1 coeff values for 2 bottoms; give one per bottom or none");
  EXPECT_EQ(errors_of(input_text("6 5") + input_text("5", "label") +
                      "layer { name: 'l' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' }"),
            "net:2: layer 'l': SoftmaxLoss: labels have shape (5), which does not match scores of "
            "shape (6,5) without axis 1");
  EXPECT_EQ(errors_of(input_text("6 5") + input_text("6", "label") +
                      "layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'a' "
                      "accuracy_param { top_k: 6 } }"),
            "net:2: layer 'a': Accuracy: top_k = 6 is not in [1, 5], the number of classes");
  EXPECT_EQ(
      errors_of(input_text("6 5") + input_text("6", "label") +
                "layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'a' top: "
                "'b' }"),
      "net:2: layer 'a': a second top (accuracy per class) is not supported; remove it: `resnet "
      "test --report` gives the accuracy per class");
}

// One mistake is one line: what depends on a failed layer is not reported.
TEST(GraphErrors, AllAtOnceWithoutEcho) {
  EXPECT_EQ(
      errors_of(input_text("1 3 4 4") +
                "layer { name: 'c1' type: 'Convolution' bottom: 'x' top: 'c1' "
                "convolution_param { num_output: 4 kernel_size: 9 } }"
                "layer { name: 'r1' type: 'ReLU' bottom: 'c1' top: 'c1' }"
                "layer { name: 'c2' type: 'Convolutoin' bottom: 'c1' top: 'c2' }"
                "layer { name: 'p' type: 'Pooling' bottom: 'c2' bottom: 'wxyz' top: 'p' }"
                "layer { name: 'sum' type: 'Eltwise' bottom: 'p' bottom: 'x' top: 'sum' }"),
      "net:1: layer 'c1': Convolution: kernel of extent 9 is larger than its padded input of "
      "extent 4; src has shape (1,3,4,4)\n"
      "net:3: layer 'c2': unknown layer type 'Convolutoin'; did you mean 'Convolution'?\n"
      "net:4: layer 'p': has 2 bottoms; Pooling takes 1\n"
      "net:4: layer 'p': bottom 'wxyz' is not the top of any layer; name a top of a layer above "
      "or an input");
}

TEST(GraphErrors, PlaceIsTheNetsNameByDefault) {
  try {
    build_graph(net_of("name: 'Tiny' layer { name: 'y' type: 'ReLU' bottom: 'x' top: 'y' }"), {});
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_EQ(e.code(), ExitCode::usage);
    EXPECT_EQ(std::string(e.what()).rfind("Tiny: layer 'y': ", 0), 0u) << e.what();
  }
}

}  // namespace
}  // namespace resnet::test
