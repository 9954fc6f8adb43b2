// Every layer: shapes, attributes, parameters.
#include "graph/net_text.h"

namespace resnet::test {
namespace {

using Names = std::vector<std::string>;

TEST(Convolution, ShapesAndParameters) {
  const Graph graph =
      graph_of(input_text("2 4 9 8") +
               layer_text("Convolution",
                          "convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 "
                          "group: 2 } param { lr_mult: 2 } param { lr_mult: 3 decay_mult: 0 }"));
  EXPECT_EQ(shape_of(graph, "y"), (Shape{2, 6, 5, 4}));
  ASSERT_EQ(graph.parameters.size(), 2u);
  const Parameter &weight = graph.parameters[0], &bias = graph.parameters[1];
  EXPECT_EQ(weight.name(), "y/weight");
  EXPECT_EQ(weight.shape, (Shape{6, 2, 3, 3}));
  EXPECT_EQ(weight.lr_mult, 2);
  EXPECT_EQ(weight.decay_mult, 1);
  EXPECT_EQ(weight.filler.type(), "constant");
  EXPECT_TRUE(weight.learnable);
  EXPECT_EQ(bias.name(), "y/bias");
  EXPECT_EQ(bias.blob, 1);
  EXPECT_EQ(bias.shape, (Shape{6}));
  EXPECT_EQ(bias.lr_mult, 3);
  EXPECT_EQ(bias.decay_mult, 0);
  EXPECT_EQ(graph.value(weight.value).kind, ValueKind::weight);
}

TEST(Convolution, SizesPerAxis) {
  const std::string dims = "1 3 11 13";
  const auto shape = [&](const std::string& fields) {
    return shape_after(dims, "Convolution", "convolution_param { num_output: 5 " + fields + " }");
  };
  EXPECT_EQ(shape("kernel_size: 3"), (Shape{1, 5, 9, 11}));
  EXPECT_EQ(shape("kernel_size: 3 kernel_size: 5"), (Shape{1, 5, 9, 9}));
  EXPECT_EQ(shape("kernel_h: 1 kernel_w: 7 pad_w: 3"), (Shape{1, 5, 11, 13}));
  EXPECT_EQ(shape("kernel_size: 3 dilation: 2"), (Shape{1, 5, 7, 9}));
  EXPECT_EQ(shape("kernel_size: 3 dilation: 1 dilation: 4"), (Shape{1, 5, 9, 5}));
  EXPECT_EQ(shape("kernel_size: 1 stride_h: 2 stride_w: 3"), (Shape{1, 5, 6, 5}));
  EXPECT_EQ(shape("kernel_size: 3 stride: 1 stride: 2 pad: 0 pad: 1"), (Shape{1, 5, 9, 7}));
}

TEST(Convolution, WithoutBias) {
  const Graph graph = graph_of(input_text("1 3 5 5") +
                               layer_text("Convolution",
                                          "convolution_param { num_output: 1 kernel_size: 5 "
                                          "bias_term: false weight_filler { type: 'msra' } }"));
  ASSERT_EQ(graph.parameters.size(), 1u);
  EXPECT_EQ(graph.parameters[0].filler.type(), "msra");
  EXPECT_FALSE(the_op<Convolution>(graph).bias);
  EXPECT_EQ(shape_of(graph, "y"), (Shape{1, 1, 1, 1}));
}

TEST(BatchNorm, PhaseDecides) {
  const std::string text = input_text("4 3 2 2") + layer_text("BatchNorm");
  const Graph test = graph_of(text), train = train_graph_of(text);
  EXPECT_TRUE(the_op<BatchNorm>(test).global);
  EXPECT_FLOAT_EQ(the_op<BatchNorm>(test).eps, 1e-5);
  EXPECT_EQ(ops_of(test), Names{"BatchNorm"});
  EXPECT_FALSE(the_op<BatchNorm>(train).global);
  EXPECT_EQ(ops_of(train), (Names{"BatchNorm", "UpdateStatistics"}));
  EXPECT_FLOAT_EQ(the_op<UpdateStatistics>(train).fraction, 0.999);
  ASSERT_EQ(train.parameters.size(), 3u);
  const Names roles{"mean", "variance", "factor"};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(train.parameters[i].role, roles[i]);
    EXPECT_FALSE(train.parameters[i].learnable);
    EXPECT_EQ(train.value(train.parameters[i].value).kind, ValueKind::state);
    EXPECT_EQ(train.nodes[1].out[i], train.parameters[i].value);
  }
  EXPECT_EQ(train.parameters[1].shape, Shape{3});
  EXPECT_EQ(train.parameters[2].shape, Shape{1});
  EXPECT_EQ(train.value(train.nodes[1].in[0]).kind, ValueKind::statistics);
}

TEST(BatchNorm, ExplicitStatistics) {
  const auto build = [](Phase phase, const std::string& fields) {
    return graph_of(
        input_text("4 3 2 2") + layer_text("BatchNorm", "batch_norm_param { " + fields + " }"),
        {.phase = phase});
  };
  EXPECT_TRUE(the_op<BatchNorm>(build(TRAIN, "use_global_stats: true")).global);
  const Graph batch_in_test = build(TEST, "use_global_stats: false");
  EXPECT_FALSE(the_op<BatchNorm>(batch_in_test).global);
  EXPECT_EQ(ops_of(batch_in_test), Names{"BatchNorm"});  // running sums stay
  EXPECT_EQ(the_op<BatchNorm>(build(TRAIN, "group_size: 2")).group_size, 2);
  EXPECT_EQ(the_op<BatchNorm>(build(TEST, "group_size: 3")).group_size, 0);
  EXPECT_DOUBLE_EQ(the_op<BatchNorm>(build(TRAIN, "eps: 0.5")).eps, 0.5);
}

TEST(BatchNorm, LayerPhaseWins) {
  const std::string text = input_text("4 3 2 2") + layer_text("BatchNorm", "phase: TEST");
  EXPECT_TRUE(the_op<BatchNorm>(train_graph_of(text)).global);
}

TEST(Scale, CoversAxes) {
  const auto build = [](const std::string& fields) {
    return graph_of(input_text("2 3 4 5") + layer_text("Scale", "scale_param { " + fields + " }"));
  };
  const Graph plain = build("bias_term: true");
  ASSERT_EQ(plain.parameters.size(), 2u);
  EXPECT_EQ(plain.parameters[0].name(), "y/gamma");
  EXPECT_EQ(plain.parameters[0].shape, Shape{3});
  EXPECT_EQ(plain.parameters[0].filler.value(), 1);
  EXPECT_EQ(plain.parameters[1].name(), "y/beta");
  EXPECT_EQ(plain.parameters[1].filler.value(), 0);
  EXPECT_EQ(build("num_axes: 2").parameters[0].shape, (Shape{3, 4}));
  EXPECT_EQ(build("axis: -2 num_axes: -1").parameters[0].shape, (Shape{4, 5}));
  EXPECT_EQ(build("num_axes: 0").parameters[0].shape, Shape());
  EXPECT_EQ(build("filler { value: 0.5 }").parameters[0].filler.value(), 0.5);
}

TEST(ReLU, Slope) {
  EXPECT_EQ(shape_after("2 3", "ReLU"), (Shape{2, 3}));
  const Graph graph =
      graph_of(input_text("2 3") + layer_text("ReLU", "relu_param { negative_slope: 0.25 }"));
  EXPECT_EQ(the_op<Relu>(graph).slope, 0.25);
}

TEST(Eltwise, Operations) {
  const auto op = [](const std::string& fields) {
    return the_op<Eltwise>(graph_of(input_text("2 3", "a") + input_text("2 3", "b") +
                                    "layer { name: 'y' type: 'Eltwise' bottom: 'a' bottom: 'b' "
                                    "top: 'y' eltwise_param { " +
                                    fields + " } }"));
  };
  EXPECT_EQ(op("").kind, Eltwise::Kind::sum);
  EXPECT_TRUE(op("").coeff.empty());
  EXPECT_EQ(op("coeff: 1 coeff: -0.5").coeff, (std::vector<double>{1, -0.5}));
  EXPECT_EQ(op("operation: PROD").kind, Eltwise::Kind::prod);
  EXPECT_EQ(op("operation: MAX").kind, Eltwise::Kind::max);
}

TEST(Pooling, RoundsUpUnlessTold) {
  const auto shape = [](const std::string& dims, const std::string& fields) {
    return shape_after(dims, "Pooling", "pooling_param { " + fields + " }");
  };
  EXPECT_EQ(shape("1 2 112 112", "kernel_size: 3 stride: 2"), (Shape{1, 2, 56, 56}));
  EXPECT_EQ(shape("1 2 112 112", "kernel_size: 3 stride: 2 round_mode: FLOOR"),
            (Shape{1, 2, 55, 55}));
  // A last window that would start at the padding is dropped.
  EXPECT_EQ(shape("1 2 5 6", "kernel_size: 2 stride: 2 pad: 1"), (Shape{1, 2, 3, 4}));
  EXPECT_EQ(shape("1 2 9 10", "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0"),
            (Shape{1, 2, 5, 4}));
  EXPECT_EQ(shape("2 3 5 6", "pool: AVE global_pooling: true"), (Shape{2, 3, 1, 1}));
}

TEST(Pooling, IndexOnlyForMaximaInTraining) {
  const auto op = [](Phase phase, const std::string& pool) {
    return the_op<Pooling>(graph_of(
        input_text("1 2 8 8") +
            layer_text("Pooling", "pooling_param { kernel_size: 2 stride: 2 pool: " + pool + " }"),
        {.phase = phase}));
  };
  EXPECT_TRUE(op(TRAIN, "MAX").has_index);
  EXPECT_FALSE(op(TEST, "MAX").has_index);
  EXPECT_FALSE(op(TRAIN, "AVE").has_index);
}

TEST(InnerProduct, ShapesAndParameters) {
  const auto build = [](const std::string& fields) {
    return graph_of(
        input_text("2 3 4 5") +
        layer_text("InnerProduct", "inner_product_param { num_output: 7 " + fields + " }"));
  };
  EXPECT_EQ(shape_of(build(""), "y"), (Shape{2, 7}));
  EXPECT_EQ(build("").parameters[0].shape, (Shape{7, 60}));
  EXPECT_EQ(build("").parameters[1].shape, Shape{7});
  EXPECT_EQ(build("transpose: true").parameters[0].shape, (Shape{60, 7}));
  EXPECT_EQ(shape_of(build("axis: -1 bias_term: false"), "y"), (Shape{2, 3, 4, 7}));
  EXPECT_EQ(build("axis: -1 bias_term: false").parameters.size(), 1u);
}

TEST(Softmax, Axis) {
  EXPECT_EQ(shape_after("2 3 4", "Softmax"), (Shape{2, 3, 4}));
  const Graph graph =
      graph_of(input_text("2 3 4") + layer_text("Softmax", "softmax_param { axis: -1 }"));
  EXPECT_EQ(the_op<Softmax>(graph).axis, 2);
}

std::string loss_net(const std::string& fields, const std::string& tops = "top: 'loss'") {
  return input_text("6 5") + input_text("6", "label") +
         "layer { name: 'objective' type: 'SoftmaxWithLoss' bottom: 'x' bottom: 'label' " + tops +
         " " + fields + " }";
}

TEST(SoftmaxWithLoss, DeclaresLoss) {
  const Graph graph = train_graph_of(loss_net("loss_weight: 0.5"));
  ASSERT_EQ(graph.outputs.size(), 1u);
  EXPECT_EQ(graph.outputs[0].name, "loss");
  EXPECT_EQ(graph.outputs[0].kind, Output::Kind::loss);
  EXPECT_EQ(graph.outputs[0].loss_weight, 0.5);
  EXPECT_EQ(the_op<SoftmaxLoss>(graph).loss_weight, 0.5);
  EXPECT_EQ(shape_of(graph, "loss"), Shape{2});
}

TEST(SoftmaxWithLoss, NeedsNoTop) {
  const Graph graph = train_graph_of(loss_net("", ""));
  ASSERT_EQ(graph.outputs.size(), 1u);
  EXPECT_EQ(graph.outputs[0].name, "objective");
  EXPECT_EQ(graph.outputs[0].loss_weight, 1);
}

TEST(SoftmaxWithLoss, SecondTopIsSoftmax) {
  const Graph graph = graph_of(loss_net("", "top: 'loss' top: 'prob'"));
  EXPECT_EQ(shape_of(graph, "prob"), (Shape{6, 5}));
  ASSERT_EQ(graph.outputs.size(), 2u);
  EXPECT_EQ(graph.outputs[1].name, "prob");
  EXPECT_EQ(graph.outputs[1].kind, Output::Kind::blob);
}

TEST(SoftmaxWithLoss, Normalisations) {
  using Mode = SoftmaxLoss::Normalization;
  const auto mode = [](const std::string& fields) {
    return the_op<SoftmaxLoss>(graph_of(loss_net("loss_param { " + fields + " }"))).normalization;
  };
  EXPECT_EQ(mode(""), Mode::valid);
  EXPECT_EQ(mode("normalization: FULL"), Mode::full);
  EXPECT_EQ(mode("normalization: BATCH_SIZE"), Mode::batch);
  EXPECT_EQ(mode("normalization: NONE"), Mode::none);
  EXPECT_EQ(mode("normalize: false"), Mode::batch);
  EXPECT_EQ(mode("normalize: true"), Mode::valid);
  EXPECT_EQ(mode("normalization: FULL normalize: false"), Mode::full);
}

TEST(SoftmaxWithLoss, CountsLabelsWhenSomeAreIgnored) {
  const Graph valid = graph_of(loss_net("loss_param { ignore_label: 255 }"));
  EXPECT_EQ(ops_of(valid), (Names{"CountLabels", "SoftmaxLoss"}));
  EXPECT_EQ(the_op<CountLabels>(valid).ignore_label, 255);
  EXPECT_TRUE(the_op<SoftmaxLoss>(valid).count_input);
  const Graph full = graph_of(loss_net("loss_param { ignore_label: 255 normalization: FULL }"));
  EXPECT_EQ(ops_of(full), Names{"SoftmaxLoss"});
  EXPECT_TRUE(the_op<SoftmaxLoss>(full).has_ignore);
}

TEST(SoftmaxWithLoss, LabelSmoothing) {
  const Graph graph = graph_of(loss_net("loss_param { label_smoothing: 0.125 }"));
  EXPECT_EQ(the_op<SoftmaxLoss>(graph).label_smoothing, 0.125);
}

TEST(Accuracy, IsMetric) {
  const Graph graph =
      graph_of(input_text("6 5") + input_text("6", "label") +
               "layer { name: 'a' type: 'Accuracy' bottom: 'x' bottom: 'label' top: 'accuracy' "
               "accuracy_param { top_k: 3 ignore_label: 9 } }");
  ASSERT_EQ(graph.outputs.size(), 1u);
  EXPECT_EQ(graph.outputs[0].kind, Output::Kind::metric);
  const auto op = the_op<Accuracy>(graph);
  EXPECT_EQ(op.top_k, 3);
  EXPECT_TRUE(op.has_ignore);
  EXPECT_EQ(op.ignore_label, 9);
}

TEST(Dropout, DrawsInTrainingOnly) {
  const std::string text =
      input_text("2 3") + layer_text("Dropout", "dropout_param { dropout_ratio: 0.25 }");
  const Graph train = train_graph_of(text), test = graph_of(text);
  EXPECT_EQ(the_op<Dropout>(train).ratio, 0.25);
  EXPECT_EQ(the_op<Dropout>(train).layer_id, 1u);
  EXPECT_EQ(train.value(train.clock).desc.dtype, DType::f64);
  EXPECT_EQ(train.nodes[0].in[1], train.clock);
  EXPECT_TRUE(test.nodes.empty());
  EXPECT_EQ(test.blobs.at("y"), test.blobs.at("x"));
  EXPECT_EQ(test.clock, kNoValue);
}

TEST(Concat, Axes) {
  const auto shape = [](const std::string& fields) {
    return shape_of(graph_of(input_text("2 3 4", "a") + input_text("2 3 4", "b") +
                             "layer { name: 'y' type: 'Concat' bottom: 'a' bottom: 'b' top: 'y' "
                             "concat_param { " +
                             fields + " } }"),
                    "y");
  };
  EXPECT_EQ(shape(""), (Shape{2, 6, 4}));
  EXPECT_EQ(shape("axis: -1"), (Shape{2, 3, 8}));
  EXPECT_EQ(shape("concat_dim: 0"), (Shape{4, 3, 4}));
}

TEST(Flatten, Axes) {
  EXPECT_EQ(shape_after("2 3 4 5", "Flatten"), (Shape{2, 60}));
  EXPECT_EQ(shape_after("2 3 4 5", "Flatten", "flatten_param { axis: 0 end_axis: -2 }"),
            (Shape{24, 5}));
  EXPECT_EQ(shape_after("2 3", "Flatten", "flatten_param { axis: 1 }"), (Shape{2, 3}));
}

TEST(Split, Aliases) {
  const Graph graph = graph_of(input_text("2 3") +
                               "layer { name: 's' type: 'Split' bottom: 'x' top: 'a' top: 'b' }");
  EXPECT_TRUE(graph.nodes.empty());
  EXPECT_EQ(graph.blobs.at("a"), graph.blobs.at("x"));
  EXPECT_EQ(graph.blobs.at("b"), graph.blobs.at("x"));
}

TEST(IdentityShortcut, Shape) {
  const std::string fields = "identity_shortcut_param { stride: 2 num_output: 32 }";
  EXPECT_EQ(shape_after("2 16 9 8", "IdentityShortcut", fields), (Shape{2, 32, 5, 4}));
  EXPECT_EQ(shape_after("2 16 9 8", "IdentityShortcut"), (Shape{2, 16, 9, 8}));
}

TEST(Layers, TypesOfValuesFollowTheNet) {
  const Graph graph =
      graph_of(input_text("1 1 4 4") +
                   layer_text("Convolution", "convolution_param { num_output: 1 kernel_size: 1 }"),
               {.dtype = DType::f64});
  for (const Value& value : graph.values) EXPECT_EQ(value.desc.dtype, DType::f64) << value.name;
}

TEST(Layers, ListIsAlphabetical) {
  const auto list = builtin_layers();
  for (size_t i = 1; i < list.size(); ++i) EXPECT_LT(list[i - 1].name, list[i].name);
  EXPECT_TRUE(is_data_layer("Data"));
  EXPECT_FALSE(is_data_layer("ReLU"));
  EXPECT_FALSE(is_data_layer("Nothing"));
  EXPECT_EQ(nearest_layer("relu"), "ReLU");
  EXPECT_EQ(nearest_layer("Convolutional"), "Convolution");
  EXPECT_EQ(nearest_layer("Transformer"), "");
}

TEST(Layers, DocumentationIsFresh) {
  const std::string path = std::string(RESNET_SOURCE_DIR) + "/docs/layers.md";
  if (std::getenv("RESNET_UPDATE") != nullptr) std::ofstream(path) << layers_markdown();
  EXPECT_TRUE(read_text(path) == layers_markdown())
      << path << " is stale; run graph_test with RESNET_UPDATE=1";
}

}  // namespace
}  // namespace resnet::test
