// The generated ImageNet nets: the committed files, table 1 of the paper, the recipe.
#include "imagenet_nets.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "models/committed_nets.h"
#include "net_summary.h"
#include "resnet/base/error.h"
#include "resnet/io/prototxt.h"

namespace resnet::cli {
namespace {

ImageNetNet net_of(int depth, Shortcut shortcut) {
  ImageNetNet net = imagenet_net(depth);
  net.shortcut = shortcut;
  return net;
}

NetSummary summary_of(const ImageNetNet& net) {
  return summarize(parse_net_prototxt(deploy_text(net)), {});
}

Graph train_graph(const ImageNetNet& net, int64_t batch) {
  GraphOptions options;
  options.phase = TRAIN;
  options.input_shapes = {{"data", Shape{batch, 3, 224, 224}}, {"label", Shape{batch}}};
  const Graph graph = build_graph(parse_net_prototxt(train_val_text(net)), options);
  validate(graph);
  return graph;
}

// The nets of the paper's tables 2 to 4.
std::vector<ImageNetNet> committed_nets() {
  return {net_of(18, Shortcut::none), net_of(18, Shortcut::a), net_of(18, Shortcut::b),
          net_of(34, Shortcut::none), net_of(34, Shortcut::a), net_of(34, Shortcut::b),
          net_of(34, Shortcut::c),    imagenet_net(50),        imagenet_net(101),
          imagenet_net(152)};
}

TEST(ImageNetNets, CommittedNetsAreFresh) {
  for (const ImageNetNet& net : committed_nets()) check_committed("imagenet", net);
}

// Table 1; the paper rounds to one decimal, and these are what its nets come to.
TEST(ImageNetNets, MultiplyAdds) {
  const auto check = [](const ImageNetNet& net, double expected) {
    const double actual = static_cast<double>(summary_of(net).multiply_adds_per_image()) / 1e9;
    EXPECT_NEAR(actual, expected, 0.02 * expected) << title(net);
  };
  check(net_of(18, Shortcut::a), 1.80);
  check(net_of(18, Shortcut::b), 1.81);
  check(net_of(34, Shortcut::a), 3.64);
  check(net_of(34, Shortcut::b), 3.66);
  check(imagenet_net(50), 3.86);
  check(imagenet_net(101), 7.57);
  check(imagenet_net(152), 11.28);
}

// Of B, as torchvision's models have them; A and the plain nets lack the three projections.
TEST(ImageNetNets, ParameterCounts) {
  const auto parameters = [](const ImageNetNet& net) { return summary_of(net).total.parameters; };
  constexpr int64_t projections =
      128 * (64 + 2) + 256 * (128 + 2) + 512 * (256 + 2);  // weights, gamma and beta
  EXPECT_EQ(parameters(net_of(18, Shortcut::b)), 11689512);
  EXPECT_EQ(parameters(net_of(34, Shortcut::b)), 21797672);
  EXPECT_EQ(parameters(net_of(18, Shortcut::a)), 11689512 - projections);
  EXPECT_EQ(parameters(net_of(34, Shortcut::none)), 21797672 - projections);
  EXPECT_EQ(parameters(imagenet_net(50)), 25557032);
  EXPECT_EQ(parameters(imagenet_net(101)), 44549160);
  EXPECT_EQ(parameters(imagenet_net(152)), 60192808);
}

TEST(ImageNetNets, OutputSizes) {
  for (const int depth : {18, 50}) {
    std::map<std::string, Shape> shapes;
    for (const LayerSummary& layer : summary_of(imagenet_net(depth)).layers) {
      shapes[layer.name] = layer.shape;
    }
    const int64_t wide = depth == 18 ? 1 : 4;
    EXPECT_EQ(shapes.at("conv1"), (Shape{1, 64, 112, 112}));
    EXPECT_EQ(shapes.at("pool1"), (Shape{1, 64, 56, 56}));
    EXPECT_EQ(shapes.at("res2b"), (Shape{1, 64 * wide, 56, 56}));
    EXPECT_EQ(shapes.at("res3b"), (Shape{1, 128 * wide, 28, 28}));
    EXPECT_EQ(shapes.at("res4b"), (Shape{1, 256 * wide, 14, 14}));
    EXPECT_EQ(shapes.at("res5b"), (Shape{1, 512 * wide, 7, 7}));
    EXPECT_EQ(shapes.at("pool5"), (Shape{1, 512 * wide, 1, 1}));
    EXPECT_EQ(shapes.at("prob"), (Shape{1, 1000}));
  }
}

// Names that the published ResNet-50 and ResNet-101 have, and some that they do not.
TEST(ImageNetNets, LayerNames) {
  const auto names = [](int depth) {
    std::set<std::string> found;
    const NetParameter net = parse_net_prototxt(deploy_text(imagenet_net(depth)));
    for (const LayerParameter& layer : net.layer()) found.insert(layer.name());
    return found;
  };
  const std::set<std::string> net50 = names(50), net101 = names(101);
  for (const char* name : {"conv1",
                           "bn_conv1",
                           "scale_conv1",
                           "conv1_relu",
                           "pool1",
                           "res2a_branch1",
                           "bn2a_branch1",
                           "scale2a_branch1",
                           "res2a_branch2a",
                           "bn2a_branch2a",
                           "res2a_branch2a_relu",
                           "res2a",
                           "res2a_relu",
                           "res2b_branch2c",
                           "res3d",
                           "res4f",
                           "res5c",
                           "pool5",
                           "fc1000",
                           "prob"}) {
    EXPECT_EQ(net50.count(name), 1u) << name;
  }
  for (const char* name : {"res2c", "res3a", "res3b3", "res4b22", "bn4b22_branch2c", "res5c"}) {
    EXPECT_EQ(net101.count(name), 1u) << name;
  }
  for (const char* name : {"res3b", "res3b4", "res4b23", "res2b_branch1"}) {
    EXPECT_EQ(net101.count(name), 0u) << name;
  }
}

TEST(ImageNetNets, DepthIsTheNumberOfWeightedLayers) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    const ImageNetNet net = net_of(depth, Shortcut::none);
    int weighted = 0;
    for (const LayerSummary& layer : summary_of(net).layers) {
      weighted += layer.type == "Convolution" || layer.type == "InnerProduct";
    }
    EXPECT_EQ(weighted, depth);
    EXPECT_EQ(cli::depth(net), depth);
  }
}

TEST(ImageNetNets, Projections) {
  const auto projections = [](const ImageNetNet& net) {
    int layers = 0;
    for (const LayerSummary& layer : summary_of(net).layers) {
      layers += layer.type == "Convolution" && layer.name.ends_with("_branch1");
    }
    return layers;
  };
  EXPECT_EQ(projections(net_of(34, Shortcut::a)), 0);
  EXPECT_EQ(projections(net_of(34, Shortcut::b)), 3);
  EXPECT_EQ(projections(net_of(34, Shortcut::c)), 16);
  EXPECT_EQ(projections(imagenet_net(50)), 4);  // conv2_x widens too
  EXPECT_EQ(projections(net_of(50, Shortcut::a)), 0);
}

TEST(ImageNetNets, StrideInThe3x3) {
  ImageNetNet net = imagenet_net(50);
  net.stride_in_3x3 = true;
  EXPECT_EQ(file_name(net), "resnet50v1.5");
  const auto shape_of = [](const ImageNetNet& n, const std::string& name) {
    for (const LayerSummary& layer : summary_of(n).layers) {
      if (layer.name == name) return layer.shape;
    }
    return Shape{};
  };
  EXPECT_EQ(shape_of(net, "res3a_branch2a"), (Shape{1, 128, 56, 56}));
  EXPECT_EQ(shape_of(net, "res3a_branch2b"), (Shape{1, 128, 28, 28}));
  EXPECT_EQ(shape_of(imagenet_net(50), "res3a_branch2a"), (Shape{1, 128, 28, 28}));
  // torchvision's figure for its ResNet-50
  EXPECT_NEAR(static_cast<double>(summary_of(net).multiply_adds_per_image()) / 1e9, 4.09, 0.03);
}

TEST(ImageNetNets, AllFormsTrainAndFitTheNetForUse) {
  for (const int depth : {18, 34, 50, 101, 152}) {
    for (const Shortcut shortcut : {Shortcut::a, Shortcut::b, Shortcut::c, Shortcut::none}) {
      ImageNetNet net = net_of(depth, shortcut);
      net.group_size = 32;
      const Graph train = train_graph(net, 64);
      const Graph deploy = build_graph(parse_net_prototxt(deploy_text(net)), {});
      ASSERT_EQ(train.parameters.size(), deploy.parameters.size());
      for (size_t i = 0; i < train.parameters.size(); ++i) {
        EXPECT_EQ(train.parameters[i].name(), deploy.parameters[i].name());
        EXPECT_EQ(train.parameters[i].shape, deploy.parameters[i].shape);
      }
    }
  }
}

TEST(ImageNetNets, Recipe) {
  const SolverParameter solver = parse_solver_prototxt(solver_text(imagenet_net(50)));
  EXPECT_FLOAT_EQ(solver.base_lr(), 0.1f);
  EXPECT_EQ(solver.lr_policy(), "plateau");
  EXPECT_EQ(solver.max_iter(), 600000);
  EXPECT_FLOAT_EQ(solver.momentum(), 0.9f);
  EXPECT_FLOAT_EQ(solver.weight_decay(), 1e-4f);

  ImageNetNet small = imagenet_net(50);
  small.batch = 16;
  small.iter_size = 16;
  small.plateau = false;
  const SolverParameter steps = parse_solver_prototxt(solver_text(small));
  EXPECT_EQ(steps.iter_size(), 16);
  EXPECT_EQ(steps.lr_policy(), "multistep");
  EXPECT_EQ(steps.stepvalue_size(), 3);
  EXPECT_NE(train_val_text(small).find("batch_size: 16 shuffle"), std::string::npos);
}

TEST(ImageNetNets, RefusesSizesThatNoNetHas) {
  const auto refused = [](auto change) {
    ImageNetNet net = imagenet_net(50);
    change(net);
    EXPECT_THROW(check(net), ConfigError);
  };
  EXPECT_THROW(imagenet_net(20), ConfigError);
  refused([](ImageNetNet& net) { net.stages.clear(); });
  refused([](ImageNetNet& net) { net.stages = {1, 1, 1, 1, 1, 1}; });
  refused([](ImageNetNet& net) { net.stages = {3, 0, 6, 3}; });
  refused([](ImageNetNet& net) { net.classes = 0; });
  refused([](ImageNetNet& net) { net.group_size = 33; });
  refused([](ImageNetNet& net) {
    net.block = ResidualBlock::Type::basic;
    net.stride_in_3x3 = true;
  });
}

}  // namespace
}  // namespace resnet::cli
