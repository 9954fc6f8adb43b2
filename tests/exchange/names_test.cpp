// Names of tensors against the lists that torchvision's nets have.
#include "resnet/exchange/names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <numeric>

#include "cli/tool.h"
#include "resnet/base/error.h"
#include "resnet/io/caffemodel.h"
#include "resnet/io/prototxt.h"

namespace resnet::test {
namespace {

// The net with blobs of zeros.
NetParameter with_zeros(NetParameter net) {
  for (const Parameter& parameter : build_graph(net, {}).parameters) {
    for (LayerParameter& layer : *net.mutable_layer()) {
      if (layer.name() != parameter.layer) continue;
      set_blob(layer.add_blobs(), parameter.shape,
               std::vector<float>(static_cast<size_t>(parameter.shape.count())));
    }
  }
  return net;
}

// Lines "layer1.0.conv1.weight (64,64,1,1)".
std::map<std::string, std::string> listed_names(const std::string& file) {
  std::ifstream stream(std::string(RESNET_SOURCE_DIR) + "/tests/exchange/" + file);
  EXPECT_TRUE(stream.good()) << file;
  std::map<std::string, std::string> names;
  for (std::string name, shape; stream >> name >> shape;) {
    if (!name.ends_with("num_batches_tracked")) names[name] = shape;
  }
  return names;
}

NetParameter defined(const std::vector<std::string>& flags) {
  const Workspace files;
  std::vector<std::string> arguments = {"define", "--output=net"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  files.run_ok(arguments);
  return with_zeros(read_net_prototxt(files.path("net/deploy.prototxt")));
}

TEST(Names, AreTorchvisions) {
  for (const char* depth : {"18", "50"}) {
    std::vector<std::string> flags = {"--family=imagenet", "--shortcut=B", "--pool1=padded",
                                      std::string("--depth=") + depth};
    if (depth == std::string("50")) flags.emplace_back("--stride_in=3x3");
    const NetParameter net = defined(flags);
    const ResidualNet parts = residual_net(net, {});
    EXPECT_EQ(differences_from_torchvision(net, parts), std::vector<std::string>());
    std::map<std::string, std::string> names;
    for (const NamePair& pair : name_pairs(net, parts, torchvision_names())) {
      names[pair.tensor] = blob_shape(net.layer(pair.layer).blobs(pair.blob), "").str();
      EXPECT_TRUE(pair.rows.empty() && pair.columns.empty());
    }
    EXPECT_EQ(names, listed_names("resnet" + std::string(depth) + "_names.txt"));
  }
}

TEST(Names, PublishedNetsDiffer) {
  const NetParameter net = defined({"--family=imagenet", "--depth=50"});
  EXPECT_EQ(differences_from_torchvision(net, residual_net(net, {})).size(), 2U);
}

// Channels behind shortcuts with zeros on both sides, as a list of 2 blocks shows by hand: 16 channels, then 32
// of which 8 to 23 came from the input, then 64 of which 16 to 47 did.
TEST(Names, OrderOfChannelsOfOptionA) {
  const NetParameter net = defined({"--depth=8"});
  const std::vector<NamePair> pairs = name_pairs(net, residual_net(net, {}), cifar_names());
  std::map<std::string, NamePair> by_name;
  for (const NamePair& pair : pairs) by_name[pair.tensor] = pair;
  EXPECT_TRUE(by_name.at("layer1.0.conv2.weight").rows.empty());
  EXPECT_TRUE(by_name.at("layer2.0.conv1.weight").columns.empty());
  std::vector<int> second(16);
  std::iota(second.begin(), second.end(), 8);
  for (int i = 0; i < 8; ++i) second.push_back(i);
  for (int i = 24; i < 32; ++i) second.push_back(i);
  EXPECT_EQ(by_name.at("layer2.0.conv2.weight").rows, second);
  EXPECT_EQ(by_name.at("layer2.0.bn2.running_var").rows, second);
  EXPECT_EQ(by_name.at("layer3.0.conv1.weight").columns, second);
  std::vector<int> third = second;
  for (int& channel : third) channel += 16;
  for (int i = 0; i < 16; ++i) third.push_back(i);
  for (int i = 48; i < 64; ++i) third.push_back(i);
  EXPECT_EQ(by_name.at("layer3.0.conv2.weight").rows, third);
  EXPECT_EQ(by_name.at("linear.weight").columns, third);
  EXPECT_TRUE(by_name.at("linear.weight").rows.empty());
}

TEST(Names, StagesAndBlocks) {
  const NetParameter net = defined({"--depth=20", "--shortcut=B"});
  const ResidualNet parts = residual_net(net, {});
  EXPECT_EQ(parts.units.size(), 1U + 18 + 2);
  EXPECT_EQ(parts.pool, -1);
  ASSERT_EQ(parts.blocks.size(), 9U);
  EXPECT_EQ(parts.blocks[3].stage, 2);
  EXPECT_EQ(parts.blocks[3].index, 0);
  EXPECT_GE(parts.blocks[3].projection, 0);
  EXPECT_EQ(parts.blocks[8].stage, 3);
  EXPECT_EQ(parts.blocks[8].index, 2);
  EXPECT_FALSE(parts.appends_zeros());
}

TEST(Names, OtherNetsAreRefused) {
  EXPECT_THROW(residual_net(defined({"--depth=8", "--shortcut=none"}), {}), ConfigError);
  EXPECT_THROW(residual_net(NetParameter(), {}), ConfigError);
  NetParameter net = defined({"--depth=8"});
  for (LayerParameter& layer : *net.mutable_layer()) {
    if (layer.type() == "Eltwise")
      layer.mutable_eltwise_param()->set_operation(EltwiseParameter::PROD);
  }
  EXPECT_THROW(residual_net(net, {}), ConfigError);
  net = defined({"--depth=8"});
  for (int i = 0; i < net.layer_size(); ++i) {
    if (net.layer(i).type() != "Scale") continue;
    net.mutable_layer()->DeleteSubrange(i, 1);
    break;
  }
  EXPECT_THROW(residual_net(net, {}), ConfigError);
}

}  // namespace
}  // namespace resnet::test
