// Shapes against Caffe's own, on the nets of the reference data (skipped where it is absent).
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>

#include <filesystem>
#include <map>

#include "graph/net_text.h"

namespace resnet::test {
namespace {

std::string caffe_path(const std::string& name) {
  return std::string(RESNET_SHARED_DIR) + "/caffe/" + name;
}

#define SKIP_WITHOUT(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there"

struct CaffeTensor {
  std::string what, layer, type;
  Shape shape;
};

std::vector<CaffeTensor> read_manifest(const std::string& path) {
  google::protobuf::Struct manifest;
  const auto status = google::protobuf::util::JsonStringToMessage(read_text(path), &manifest);
  if (!status.ok()) throw std::runtime_error(path + ": " + status.ToString());
  std::vector<CaffeTensor> tensors;
  for (const auto& entry : manifest.fields().at("tensors").list_value().values()) {
    const auto& fields = entry.struct_value().fields();
    std::vector<int64_t> dims;
    for (const auto& dim : fields.at("shape").list_value().values()) {
      dims.push_back(static_cast<int64_t>(dim.number_value()));
    }
    tensors.push_back({fields.at("what").string_value(), fields.at("layer").string_value(),
                       fields.at("type").string_value(), Shape(dims)});
  }
  return tensors;
}

// Compares the tops of kind `what` with the graph's, layer by layer; returns how many.
int compare_tops(const Graph& graph, const std::vector<CaffeTensor>& tensors,
                 const std::string& what) {
  const std::map<std::string, ValueId> tops(graph.layer_outputs.begin(), graph.layer_outputs.end());
  int compared = 0;
  for (const CaffeTensor& tensor : tensors) {
    const bool scalar = tensor.shape.rank() == 0;  // ours: (2), value and weight
    if (tensor.what != what || tops.count(tensor.layer) == 0) continue;
    EXPECT_EQ(graph.value(tops.at(tensor.layer)).desc.shape, scalar ? Shape{2} : tensor.shape)
        << tensor.layer;
    ++compared;
  }
  return compared;
}

TEST(Caffe, ShapesOfEverySingleLayer) {
  const std::string path = caffe_path("ops/ops.prototxt");
  SKIP_WITHOUT(path);
  const Graph graph = train_graph_of(read_text(path));
  const auto tensors = read_manifest(caffe_path("ops/manifest.json"));
  EXPECT_GE(compare_tops(graph, tensors, "top"), 50);
}

TEST(Caffe, ShapesOfABottleneckNet) {
  const std::string path = caffe_path("forward_tiny64/tiny_bottleneck_64.prototxt");
  SKIP_WITHOUT(path);
  const Graph graph = graph_of(read_text(path));
  const auto tensors = read_manifest(caffe_path("forward_tiny64/manifest.json"));
  EXPECT_GE(compare_tops(graph, tensors, "after_layer"), 80);
  ASSERT_EQ(graph.outputs.size(), 1u);
  EXPECT_EQ(graph.outputs[0].name, "prob");
}

TEST(Caffe, TrainingNetInBothPhases) {
  const std::string path = caffe_path("train/net.prototxt");
  SKIP_WITHOUT(path);
  const std::map<std::string, Shape> shapes{{"data", Shape{16, 3, 32, 32}}, {"label", Shape{16}}};
  const std::string text = read_text(path);
  const Graph train = graph_of(text, {.phase = TRAIN, .input_shapes = shapes});
  const Graph test = graph_of(text, {.phase = TEST, .input_shapes = shapes});
  ASSERT_EQ(train.outputs.size(), 1u);
  EXPECT_EQ(train.outputs[0].kind, Output::Kind::loss);
  std::vector<std::string> names;
  for (const Output& output : test.outputs) names.push_back(output.name);
  EXPECT_EQ(names, (std::vector<std::string>{"accuracy", "accuracy_top5", "loss"}));
  EXPECT_EQ(train.parameters.size(), test.parameters.size());
  EXPECT_EQ(train.parameters.back().lr_mult, 2);
  EXPECT_EQ(train.parameters.back().decay_mult, 0);
}

}  // namespace
}  // namespace resnet::test
