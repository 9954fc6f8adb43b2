#include "cifar_nets.h"

#include <algorithm>

#include "net_writer.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

constexpr int kImage = 32;    // pixels on a side
constexpr int kFilters = 16;  // of the first stage; doubled in the others
constexpr int kStages = 3;    // conv2_x to conv4_x
constexpr int kTrainBatch = 128;
constexpr int kTestBatch = 100;  // divides the 10,000 test images
// Deeper nets do not start to converge at the full learning rate.
constexpr int kWarmUpDepth = 110;

int blocks_per_stage(const CifarNet& net) { return (net.depth - 2) / 6; }

// The part of a layer's name after "res", "bn", "scale": "2a", or "2b7" where letters do not suffice.
std::string block_name(int stage, int block, int blocks) {
  constexpr int kLetters = 26;
  const std::string name = std::to_string(stage + 2);
  if (blocks <= kLetters) return name + static_cast<char>('a' + block);
  return block == 0 ? name + "a" : name + "b" + std::to_string(block);
}

// Appends the layers of one net from the first convolution to the scores.
class Body {
 public:
  Body(NetWriter& writer, const CifarNet& net) : writer_(writer), net_(net) {}

  // Returns the blob of scores.
  std::string write() {
    writer_.comment("conv1: " + size_text(0));
    std::string blob = writer_.relu(
        writer_.convolution({"conv1", "bn_conv1", "scale_conv1"}, "data", kFilters, 3, 1));
    for (int stage = 0; stage < kStages; ++stage) {
      const int blocks = blocks_per_stage(net_);
      writer_.comment("conv" + std::to_string(stage + 2) + "_x: " + std::to_string(blocks) +
                      (blocks == 1 ? " block, " : " blocks, ") + size_text(stage));
      for (int block = 0; block < blocks; ++block) {
        if (block > 0) writer_.gap();
        const bool halves = block == 0 && stage > 0;  // the image, and doubles the filters
        blob = write_block(writer_, blob, block_name(stage, block, blocks),
                           {.shortcut = net_.shortcut,
                            .filters = kFilters << stage,
                            .stride = halves ? 2 : 1,
                            .changes = halves});
      }
    }
    writer_.comment("Classifier");
    return writer_.inner_product("fc" + std::to_string(net_.classes),
                                 writer_.average("pool5", blob), net_.classes);
  }

 private:
  static std::string size_text(int stage) {
    const std::string side = std::to_string(kImage >> stage);
    return std::to_string(kFilters << stage) + " filters, " + side + "x" + side;
  }

  NetWriter& writer_;
  const CifarNet& net_;
};

// The layer that brings images and labels in one phase.
void write_data_layer(NetWriter& writer, const CifarNet& net, bool train) {
  const std::string mean = net.mean_file.empty() ? net.source + "/mean.binaryproto" : net.mean_file;
  const std::string source =
      net.lmdb ? net.source + (train ? "/train.lmdb" : "/test.lmdb") : net.source;
  const std::string augmentation =
      train ? " pad: 4 crop_size: " + std::to_string(kImage) + " mirror: true" : "";
  writer.layer(
      "Data", "data", {}, {"data", "label"},
      {std::string("include { phase: ") + (train ? "TRAIN" : "TEST") + " }",
       "transform_param { mean_file: " + quoted(mean) + augmentation + " }",
       "data_param { source: " + quoted(source) + " backend: " + (net.lmdb ? "LMDB" : "CIFAR10") +
           " batch_size: " + std::to_string(train ? kTrainBatch : kTestBatch) +
           (train ? " shuffle: true" : "") + " }"});
}

// The first lines of every file.
std::string heading(const CifarNet& net, const std::string& what) {
  const CifarNet defaults;
  std::string command = "resnet define --family=cifar --depth=" + std::to_string(net.depth) +
                        " --shortcut=" + letter(net.shortcut);
  if (net.classes != defaults.classes) command += " --classes=" + std::to_string(net.classes);
  if (net.lmdb) command += " --format=lmdb";
  if (net.source != defaults.source) command += " --source=" + quoted(net.source);
  if (net.mean_file != defaults.mean_file) command += " --mean=" + quoted(net.mean_file);
  return "# " + title(net) + ": " + what +
         " (He et al. 2015, section 4.2).\n# Written by: " + command + "\n";
}

}  // namespace

void check(const CifarNet& net) {
  if (net.classes < 1) throw ConfigError("--classes takes a number from 1");
  if (net.depth >= 8 && net.depth % 6 == 2) return;
  const int n = std::max(1, (net.depth + 1) / 6);
  throw ConfigError("depth " + std::to_string(net.depth) +
                    " is not of the form 6n+2; the nearest is " + std::to_string(6 * n + 2));
}

std::string file_name(const CifarNet& net) {
  const std::string depth = std::to_string(net.depth);
  switch (net.shortcut) {
    case Shortcut::a:
      return "resnet" + depth;
    case Shortcut::b:
      return "resnet" + depth + "b";
    case Shortcut::c:
      return "resnet" + depth + "c";
    case Shortcut::none:
      break;
  }
  return "plain" + depth;
}

std::string title(const CifarNet& net) {
  const std::string depth = std::to_string(net.depth);
  if (net.shortcut == Shortcut::none) return "Plain-" + depth;
  return "ResNet-" + depth + (net.shortcut == Shortcut::a ? "" : "-" + letter(net.shortcut));
}

std::string train_val_text(const CifarNet& net) {
  check(net);
  NetWriter writer(title(net), true);
  writer.comment(
      "Images (planes B, G, R), less the mean image; for training padded, cropped, mirrored");
  write_data_layer(writer, net, true);
  write_data_layer(writer, net, false);
  const std::string scores = Body(writer, net).write();
  writer.layer("SoftmaxWithLoss", "loss", {scores, "label"}, {"loss"});
  writer.layer("Accuracy", "accuracy", {scores, "label"}, {"accuracy"});
  return heading(net, "the net for training and testing") + writer.text();
}

std::string deploy_text(const CifarNet& net) {
  check(net);
  NetWriter writer(title(net), false);
  const std::string side = " dim: " + std::to_string(kImage);
  writer.comment("Images (planes B, G, R), less the mean image");
  writer.layer("Input", "data", {}, {"data"},
               {"input_param { shape { dim: 1 dim: 3" + side + side + " } }"});
  const std::string scores = Body(writer, net).write();
  writer.layer("Softmax", "prob", {scores}, {"prob"});
  return heading(net, "the net for use") + writer.text();
}

std::string solver_text(const CifarNet& net) {
  check(net);
  std::string text = heading(net, "the recipe for training") +
                     "net: \"train_val.prototxt\"\n"
                     "test_interval: 1000  # a test covers every test image once\n"
                     "test_initialization: false  # BatchNorm has no statistics before training\n"
                     "\n"
                     "base_lr: 0.1\n";
  if (net.depth >= kWarmUpDepth) {
    text +=
        "warmup_lr: 0.01  # until the training error is under warmup_error\n"
        "warmup_error: 0.8\n";
  }
  return text +
         "lr_policy: \"multistep\"\n"
         "gamma: 0.1\n"
         "stepvalue: 32000\n"
         "stepvalue: 48000\n"
         "max_iter: 64000\n"
         "momentum: 0.9\n"
         "weight_decay: 0.0001\n"
         "random_seed: 1\n"
         "\n"
         "display: 100\n"
         "average_loss: 100\n"
         "snapshot: 4000\n"
         "keep_snapshots: 2\n"
         "keep_best: true\n"
         "snapshot_prefix: \"snapshots/" +
         file_name(net) + "\"\n";
}

}  // namespace resnet::cli
