// The generated CIFAR nets: the committed files, the paper's figures, the recipe.
#include "cifar_nets.h"

#include <gtest/gtest.h>

#include "models/committed_nets.h"
#include "net_summary.h"
#include "resnet/base/error.h"
#include "resnet/io/checksum.h"
#include "resnet/io/prototxt.h"

namespace resnet::cli {
namespace {

CifarNet cifar_net(int depth, Shortcut shortcut = Shortcut::a) {
  CifarNet net;
  net.depth = depth;
  net.shortcut = shortcut;
  return net;
}

NetSummary summary_of(const CifarNet& net) {
  return summarize(parse_net_prototxt(deploy_text(net)), {});
}

Graph train_graph(const CifarNet& net) {
  GraphOptions options;
  options.phase = TRAIN;
  options.input_shapes = {{"data", Shape{128, 3, 32, 32}}, {"label", Shape{128}}};
  const Graph graph = build_graph(parse_net_prototxt(train_val_text(net)), options);
  validate(graph);
  return graph;
}

TEST(CifarNets, CommittedResidualNetsAreFresh) {
  for (const int depth : {20, 32, 44, 56, 110}) check_committed("cifar10", cifar_net(depth));
}

TEST(CifarNets, CommittedPlainNetsAreFresh) {
  for (const int depth : {20, 32, 44, 56})
    check_committed("cifar10", cifar_net(depth, Shortcut::none));
}

// Too long to commit.
TEST(CifarNets, DigestOfDepth1202) {
  const CifarNet net = cifar_net(1202);
  EXPECT_EQ(checksum_of(train_val_text(net) + deploy_text(net) + solver_text(net)),
            12421600611695300286u);
}

// Table 6 of the paper.
TEST(CifarNets, ParameterCounts) {
  const std::pair<int, double> millions[] = {{20, 0.27}, {32, 0.46}, {44, 0.66},
                                             {56, 0.85}, {110, 1.7}, {1202, 19.4}};
  for (const auto& [depth, expected] : millions) {
    const double actual = static_cast<double>(summary_of(cifar_net(depth)).total.parameters) / 1e6;
    EXPECT_NEAR(actual, expected, depth > 100 ? 0.05 : 0.005) << depth;
    const double plain =
        static_cast<double>(summary_of(cifar_net(depth, Shortcut::none)).total.parameters) / 1e6;
    EXPECT_EQ(plain, actual) << depth;
  }
}

TEST(CifarNets, SizeOfDepth20) {
  const NetSummary summary = summary_of(cifar_net(20));
  // 3x3 convolutions, gamma and beta, the classifier with its bias.
  EXPECT_EQ(summary.total.parameters, 432 + 13824 + 50688 + 202752 + 1376 + 650);
  EXPECT_EQ(summary.multiply_adds_per_image(), 40551040);
  EXPECT_EQ(summary.layers.front().type, "Input");
  EXPECT_EQ(summary.layers.back().shape, (Shape{1, 10}));
}

TEST(CifarNets, WeightedLayers) {
  for (const int depth : {8, 20, 110}) {
    for (const Shortcut shortcut : {Shortcut::a, Shortcut::none}) {
      int weighted = 0;
      for (const LayerSummary& layer : summary_of(cifar_net(depth, shortcut)).layers) {
        weighted += layer.type == "Convolution" || layer.type == "InnerProduct";
      }
      EXPECT_EQ(weighted, depth);
    }
  }
}

TEST(CifarNets, Shortcuts) {
  const auto count = [](Shortcut shortcut, const std::string& type) {
    int layers = 0;
    for (const LayerSummary& layer : summary_of(cifar_net(20, shortcut)).layers) {
      layers += layer.type == type;
    }
    return layers;
  };
  EXPECT_EQ(count(Shortcut::a, "IdentityShortcut"), 2);
  EXPECT_EQ(count(Shortcut::a, "Eltwise"), 9);
  EXPECT_EQ(count(Shortcut::b, "Convolution"), 19 + 2);
  EXPECT_EQ(count(Shortcut::b, "IdentityShortcut"), 0);
  EXPECT_EQ(count(Shortcut::c, "Convolution"), 19 + 9);
  EXPECT_EQ(count(Shortcut::none, "Eltwise"), 0);
  EXPECT_EQ(count(Shortcut::none, "Convolution"), 19);
}

TEST(CifarNets, TrainsInBothPhases) {
  const CifarNet net = cifar_net(20);
  const Graph graph = train_graph(net);
  ASSERT_EQ(graph.outputs.size(), 2u);
  EXPECT_EQ(graph.outputs[0].name, "accuracy");
  EXPECT_EQ(graph.outputs[1].kind, Output::Kind::loss);
  for (const Parameter& parameter : graph.parameters) {
    if (!parameter.learnable) continue;
    EXPECT_EQ(parameter.filler.type(), parameter.role == "weight" ? "msra" : "constant");
    EXPECT_EQ(parameter.decay_mult, 1) << parameter.name();
  }
  const auto& moved = std::get<UpdateStatistics>(graph.nodes[2].op);
  EXPECT_FLOAT_EQ(static_cast<float>(moved.fraction), 0.9f);
}

TEST(CifarNets, TrainedWeightsFitTheNetForUse) {
  for (const Shortcut shortcut : {Shortcut::a, Shortcut::b, Shortcut::c, Shortcut::none}) {
    const CifarNet net = cifar_net(20, shortcut);
    const Graph train = train_graph(net);
    const Graph deploy = build_graph(parse_net_prototxt(deploy_text(net)), {});
    ASSERT_EQ(train.parameters.size(), deploy.parameters.size());
    for (size_t i = 0; i < train.parameters.size(); ++i) {
      EXPECT_EQ(train.parameters[i].name(), deploy.parameters[i].name());
      EXPECT_EQ(train.parameters[i].shape, deploy.parameters[i].shape);
    }
  }
}

TEST(CifarNets, Recipe) {
  const SolverParameter solver = parse_solver_prototxt(solver_text(cifar_net(56)));
  EXPECT_EQ(solver.lr_policy(), "multistep");
  EXPECT_FLOAT_EQ(solver.base_lr(), 0.1f);
  EXPECT_FLOAT_EQ(solver.gamma(), 0.1f);
  EXPECT_EQ(solver.stepvalue(0), 32000);
  EXPECT_EQ(solver.stepvalue(1), 48000);
  EXPECT_EQ(solver.max_iter(), 64000);
  EXPECT_FLOAT_EQ(solver.momentum(), 0.9f);
  EXPECT_FLOAT_EQ(solver.weight_decay(), 1e-4f);
  EXPECT_FALSE(solver.has_warmup_lr());
  const SolverParameter deep = parse_solver_prototxt(solver_text(cifar_net(110)));
  EXPECT_FLOAT_EQ(deep.warmup_lr(), 0.01f);
  EXPECT_FLOAT_EQ(deep.warmup_error(), 0.8f);

  const NetParameter net = parse_net_prototxt(train_val_text(cifar_net(20)));
  const LayerParameter &train = net.layer(0), &test = net.layer(1);
  EXPECT_EQ(train.data_param().batch_size(), 128u);
  EXPECT_TRUE(train.data_param().shuffle());
  EXPECT_EQ(train.transform_param().pad(), 4u);
  EXPECT_EQ(train.transform_param().crop_size(), 32u);
  EXPECT_TRUE(train.transform_param().mirror());
  EXPECT_TRUE(train.transform_param().has_mean_file());
  EXPECT_FALSE(test.data_param().shuffle());
  EXPECT_FALSE(test.transform_param().mirror());
  EXPECT_EQ(test.transform_param().mean_file(), train.transform_param().mean_file());
}

TEST(CifarNets, OtherData) {
  CifarNet net = cifar_net(20);
  net.lmdb = true;
  net.source = "a \"b\"\\c";
  const NetParameter text = parse_net_prototxt(train_val_text(net));
  EXPECT_EQ(text.layer(0).data_param().source(), net.source + "/train.lmdb");
  EXPECT_EQ(text.layer(1).data_param().source(), net.source + "/test.lmdb");
  EXPECT_EQ(text.layer(0).data_param().backend(), DataParameter::LMDB);
  EXPECT_EQ(text.layer(0).transform_param().mean_file(), net.source + "/mean.binaryproto");
}

TEST(CifarNets, NamesOfManyBlocks) {
  const std::string text = deploy_text(cifar_net(6 * 27 + 2));
  EXPECT_NE(text.find("\"res2a_branch2a\""), std::string::npos);
  EXPECT_NE(text.find("\"res2b1_branch2a\""), std::string::npos);
  EXPECT_NE(text.find("\"bn4b26_branch2b\""), std::string::npos);
  EXPECT_NE(deploy_text(cifar_net(110)).find("\"res2r_relu\""), std::string::npos);
}

TEST(CifarNets, WrongDepthsAndShortcuts) {
  const auto error = [](int depth) {
    try {
      check(cifar_net(depth));
    } catch (const ConfigError& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  EXPECT_EQ(error(18), "depth 18 is not of the form 6n+2; the nearest is 20");
  EXPECT_EQ(error(22), "depth 22 is not of the form 6n+2; the nearest is 20");
  EXPECT_EQ(error(2), "depth 2 is not of the form 6n+2; the nearest is 8");
  EXPECT_EQ(error(-7), "depth -7 is not of the form 6n+2; the nearest is 8");
  EXPECT_EQ(error(1202), "none");
  EXPECT_EQ(parse_shortcut("none"), Shortcut::none);
  EXPECT_THROW(parse_shortcut("D"), ConfigError);
}

TEST(NetSummary, Table) {
  const NetParameter net = parse_net_prototxt(R"(name: "Tiny"
      layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }
      layer { name: "conv" type: "Convolution" bottom: "x" top: "y"
              convolution_param { num_output: 100 kernel_size: 3 } }
      layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
      layer { name: "names" type: "Split" bottom: "y" top: "a" top: "b" })");
  const NetSummary summary = summarize(net, {});
  EXPECT_EQ(summary.batch, 2);
  EXPECT_EQ(summary.multiply_adds_per_image(), 100 * 36 * 27);
  EXPECT_EQ(table(summary),
            "layer  type         shape        parameters  multiply-adds   bytes\n"
            "data   Input        (2,3,8,8)                                1,536\n"
            "conv   Convolution  (2,100,6,6)       2,800        194,400  28,800\n"
            "relu   ReLU         (2,100,6,6)\n"
            "names  Split        (2,100,6,6)\n"
            "total                                 2,800        194,400  30,336\n");
}

}  // namespace
}  // namespace resnet::cli
