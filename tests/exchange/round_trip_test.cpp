// Nothing is lost on the way from prototxt to a weight file and back.
#include <filesystem>

#include "exchange/caffe_run.h"
#include "resnet/eval/weights.h"
#include "resnet/exchange/model_file.h"
#include "resnet/io/files.h"
#include "resnet/io/prototxt.h"
#include "test_paths.h"

namespace resnet::testing {
namespace {

std::vector<std::filesystem::path> committed(const std::string& name) {
  std::vector<std::filesystem::path> found;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(source_dir() + "/models")) {
    if (entry.path().filename() == name) found.push_back(entry.path());
  }
  return found;
}

TEST(RoundTrip, TextOfCommittedFiles) {
  for (const char* name : {"train_val.prototxt", "deploy.prototxt"}) {
    const auto files = committed(name);
    EXPECT_GE(files.size(), 5U);
    for (const auto& file : files) {
      const NetParameter net = parse_net_prototxt(read_file(file));
      const NetParameter again = parse_net_prototxt(format_prototxt(net));
      EXPECT_EQ(again.SerializeAsString(), net.SerializeAsString()) << file;
    }
  }
  for (const auto& file : committed("solver.prototxt")) {
    const SolverParameter solver = parse_solver_prototxt(read_file(file));
    const SolverParameter again = parse_solver_prototxt(format_prototxt(solver));
    EXPECT_EQ(again.SerializeAsString(), solver.SerializeAsString()) << file;
  }
}

// A deploy net, its weights and what belongs to them, through a one-file model and once more.
TEST(RoundTrip, NetInAModelFile) {
  const ScratchDirectory dir;
  for (const char* model : {"cifar10/resnet20", "imagenet/resnet18"}) {
    SCOPED_TRACE(model);
    const std::string text = read_file(source_dir() + "/models/" + model + "/deploy.prototxt");
    const NetParameter original = parse_net_prototxt(text);
    Net net(original, std::shared_ptr<Backend>(make_backend("onednn")), {}, {}, {});
    net.initialize(3);
    Preprocessing preprocessing;
    preprocessing.add_mean_value(104);
    preprocessing.add_class_name("a \"quoted\" name");
    TrainingRecord training;
    training.set_iteration(7);
    const NetParameter weighted = with_weights(net, preprocessing);
    write_model_file(dir / "one.caffemodel", weighted, preprocessing, training, 5);
    const ModelFile one = read_model_file(dir / "one.caffemodel");
    EXPECT_EQ(format_prototxt(one.net), format_prototxt(original));

    NetParameter again = one.net;
    ASSERT_EQ(again.layer_size(), weighted.layer_size());
    for (int i = 0; i < again.layer_size(); ++i) {
      *again.mutable_layer(i)->mutable_blobs() = weighted.layer(i).blobs();
    }
    write_model_file(dir / "two.caffemodel", again, one.preprocessing, one.training,
                     one.weights.run_id);
    EXPECT_EQ(read_file(dir / "two.caffemodel"), read_file(dir / "one.caffemodel"));
  }
}

}  // namespace
}  // namespace resnet::testing
