#include "imagenet_nets.h"

#include <algorithm>
#include <numeric>

#include "net_writer.h"
#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

constexpr int kImage = 224;   // pixels on a side
constexpr int kFilters = 64;  // of conv1 and of the first stage; doubled in each of the others
constexpr int kPaperBatch = 256;
constexpr int kTestBatch = 50;  // divides the 50,000 validation images

struct Published {
  int depth;
  ResidualBlock::Type block;
  std::vector<int> stages;
};

// Table 1.
const std::vector<Published>& published() {
  static const std::vector<Published> nets = {
      {18, ResidualBlock::Type::basic, {2, 2, 2, 2}},
      {34, ResidualBlock::Type::basic, {3, 4, 6, 3}},
      {50, ResidualBlock::Type::bottleneck, {3, 4, 6, 3}},
      {101, ResidualBlock::Type::bottleneck, {3, 4, 23, 3}},
      {152, ResidualBlock::Type::bottleneck, {3, 8, 36, 3}},
  };
  return nets;
}

bool is_bottleneck(const ImageNetNet& net) { return net.block == ResidualBlock::Type::bottleneck; }

Shortcut usual_shortcut(ResidualBlock::Type block) {
  return block == ResidualBlock::Type::basic ? Shortcut::a : Shortcut::b;
}

// As in the published models: letters; in nets with a stage of more than six blocks "b1", "b2", ..
// from the second block on in stages of more than three.
std::string block_name(const ImageNetNet& net, int stage, int block) {
  const std::string name = std::to_string(stage + 2);
  const bool deep = *std::max_element(net.stages.begin(), net.stages.end()) > 6;
  if (block == 0 || !deep || net.stages[static_cast<size_t>(stage)] <= 3) {
    return name + static_cast<char>('a' + block);
  }
  return name + "b" + std::to_string(block);
}

// Appends the layers from the first convolution to the scores; returns their blob.
std::string write_body(NetWriter& writer, const ImageNetNet& net) {
  writer.comment("conv1: " + std::to_string(kFilters) + " filters, 112x112");
  std::string blob =
      writer.relu(writer.convolution({"conv1", "bn_conv1", "scale_conv1"}, "data", kFilters, 7, 2));
  writer.layer("Pooling", "pool1", {blob}, {"pool1"},
               {std::string("pooling_param { pool: MAX kernel_size: 3 stride: 2") +
                (net.pad_pool1 ? " pad: 1 round_mode: FLOOR }" : " }")});
  blob = "pool1";
  int side = kImage / 4, channels = kFilters;
  for (int stage = 0; stage < static_cast<int>(net.stages.size()); ++stage) {
    const int blocks = net.stages[static_cast<size_t>(stage)];
    if (stage > 0) side = (side + 1) / 2;
    writer.comment("conv" + std::to_string(stage + 2) + "_x: " + std::to_string(blocks) +
                   (blocks == 1 ? " block, " : " blocks, ") + std::to_string(side) + "x" +
                   std::to_string(side));
    for (int block = 0; block < blocks; ++block) {
      if (block > 0) writer.gap();
      ResidualBlock shape{.type = net.block,
                          .shortcut = net.shortcut,
                          .filters = kFilters << stage,
                          .stride = block == 0 && stage > 0 ? 2 : 1,
                          .stride_in_3x3 = net.stride_in_3x3};
      shape.changes = shape.stride != 1 || shape.num_output() != channels;
      blob = write_block(writer, blob, block_name(net, stage, block), shape);
      channels = shape.num_output();
    }
  }
  writer.comment("Classifier");
  return writer.inner_product("fc" + std::to_string(net.classes), writer.average("pool5", blob),
                              net.classes);
}

std::string mean_field(const ImageNetNet& net) {
  if (net.mean_values.empty()) {
    return "mean_file: " +
           quoted(net.mean_file.empty() ? net.source + "/mean.binaryproto" : net.mean_file);
  }
  std::string values;
  for (const std::string& value : net.mean_values) {
    values += (values.empty() ? "mean_value: " : " mean_value: ") + value;
  }
  return values;
}

std::string source_fields(const ImageNetNet& net, bool train) {
  const auto in_source = [&](const char* name) { return quoted(net.source + "/" + name); };
  switch (net.format) {
    case ImageNetNet::Format::folder:
      return "source: " + in_source(train ? "train" : "val") + " backend: FOLDER";
    case ImageNetNet::Format::tar:
      if (train) return "source: " + in_source("ILSVRC2012_img_train.tar") + " backend: TAR";
      return "source: " + in_source("ILSVRC2012_img_val.tar") +
             " backend: TAR label_file: " + in_source("val.txt");
    case ImageNetNet::Format::lmdb:
      break;
  }
  return "source: " + in_source(train ? "train.lmdb" : "val.lmdb") + " backend: LMDB";
}

void write_data_layer(NetWriter& writer, const ImageNetNet& net, bool train) {
  const std::string crop = " crop_size: " + std::to_string(kImage);
  const std::string batch = " batch_size: " + std::to_string(train ? net.batch : kTestBatch);
  writer.layer("Data", "data", {}, {"data", "label"},
               {std::string("include { phase: ") + (train ? "TRAIN" : "TEST") + " }",
                std::string("transform_param { force_color: true resize_shorter_min: 256") +
                    (train ? " resize_shorter_max: 480" : "") + crop +
                    (train ? " mirror: true color_std: 0.1" : ""),
                "                  " + mean_field(net) + " }",
                "data_param { " + source_fields(net, train) + batch +
                    (train ? " shuffle: true" : "") + " }"});
}

std::string join(const std::vector<int>& numbers) {
  std::string text;
  for (const int number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

// The first lines of every file.
std::string heading(const ImageNetNet& net, const std::string& what) {
  const ImageNetNet defaults;
  std::string command = "resnet define --family=imagenet";
  const auto& nets = published();
  if (std::any_of(nets.begin(), nets.end(), [&](const Published& known) {
        return known.stages == net.stages && known.block == net.block;
      })) {
    command += " --depth=" + std::to_string(depth(net));
  } else {
    command += " --stages=" + join(net.stages) +
               " --block=" + (is_bottleneck(net) ? "bottleneck" : "basic");
  }
  command += " --shortcut=" + letter(net.shortcut);
  if (net.stride_in_3x3) command += " --stride_in=3x3";
  if (net.pad_pool1) command += " --pool1=padded";
  const auto add = [&](const char* flag, int value, int usual) {
    if (value != usual) command += std::string(" --") + flag + "=" + std::to_string(value);
  };
  add("classes", net.classes, defaults.classes);
  add("batch", net.batch, defaults.batch);
  add("iter_size", net.iter_size, defaults.iter_size);
  add("group_size", net.group_size, defaults.group_size);
  if (!net.plateau) command += " --schedule=steps";
  if (net.format == ImageNetNet::Format::folder) command += " --format=folder";
  if (net.format == ImageNetNet::Format::tar) command += " --format=tar";
  if (net.source != defaults.source) command += " --source=" + quoted(net.source);
  if (!net.mean_file.empty()) command += " --mean=" + quoted(net.mean_file);
  for (size_t i = 0; i < net.mean_values.size(); ++i) {
    command += (i == 0 ? " --mean=" : ",") + net.mean_values[i];
  }
  return "# " + title(net) + ": " + what + " (He et al. 2015, table 1).\n# Written by: " + command +
         "\n";
}

}  // namespace

ImageNetNet imagenet_net(int depth) {
  std::string depths;
  for (const Published& known : published()) {
    if (known.depth == depth) {
      ImageNetNet net;
      net.stages = known.stages;
      net.block = known.block;
      net.shortcut = usual_shortcut(known.block);
      return net;
    }
    depths += (depths.empty() ? "" : ", ") + std::to_string(known.depth);
  }
  throw ConfigError("--depth=" + std::to_string(depth) + ": the depths of --family=imagenet are " +
                    depths + "; other nets by --stages and --block");
}

void check(const ImageNetNet& net) {
  const auto refuse = [](const std::string& fact) { throw ConfigError(fact); };
  // Five stages leave 4x4 of the image's 224x224 pixels.
  if (net.stages.empty() || net.stages.size() > 5)
    refuse("--stages takes 1 to 5 numbers of blocks");
  for (const int blocks : net.stages) {
    if (blocks < 1 || blocks > 1000) refuse("--stages: a stage has 1 to 1000 blocks");
  }
  if (net.stride_in_3x3 && !is_bottleneck(net)) {
    refuse("--stride_in=3x3 is for bottlenecks; basic blocks have no 1x1 convolution");
  }
  if (net.classes < 1) refuse("--classes takes a number from 1");
  if (net.batch < 1) refuse("--batch takes a number from 1");
  if (net.iter_size < 1) refuse("--iter_size takes a number from 1");
  if (net.group_size < 0 || (net.group_size > 0 && net.batch % net.group_size != 0)) {
    refuse("--group_size=" + std::to_string(net.group_size) + " does not divide the batch of " +
           std::to_string(net.batch));
  }
}

int depth(const ImageNetNet& net) {
  return 2 +
         (is_bottleneck(net) ? 3 : 2) * std::accumulate(net.stages.begin(), net.stages.end(), 0);
}

std::string file_name(const ImageNetNet& net) {
  const std::string number = std::to_string(depth(net));
  const std::string version = net.stride_in_3x3 ? "v1.5" : "";
  if (net.shortcut == Shortcut::none) return "plain" + number + version;
  std::string suffix;
  if (net.shortcut != usual_shortcut(net.block)) {
    suffix = static_cast<char>(letter(net.shortcut)[0] - 'A' + 'a');
  }
  return "resnet" + number + suffix + version;
}

std::string title(const ImageNetNet& net) {
  const std::string number = std::to_string(depth(net));
  if (net.shortcut == Shortcut::none) return "Plain-" + number;
  return "ResNet-" + number +
         (net.shortcut == usual_shortcut(net.block) ? "" : "-" + letter(net.shortcut));
}

std::string train_val_text(const ImageNetNet& net) {
  check(net);
  NetWriter writer(title(net), true, net.group_size);
  writer.comment(
      "Images (planes B, G, R) less their mean: for training scaled at random, cropped, mirrored, "
      "and "
      "shifted\n# in colour; for tests the centre");
  write_data_layer(writer, net, true);
  write_data_layer(writer, net, false);
  const std::string scores = write_body(writer, net);
  writer.layer("SoftmaxWithLoss", "loss", {scores, "label"}, {"loss"});
  writer.layer("Accuracy", "accuracy", {scores, "label"}, {"accuracy"});
  if (net.classes > 5) {
    writer.layer("Accuracy", "accuracy_top5", {scores, "label"}, {"accuracy_top5"},
                 {"include { phase: TEST }", "accuracy_param { top_k: 5 }"});
  }
  return heading(net, "the net for training and testing") + writer.text();
}

std::string deploy_text(const ImageNetNet& net) {
  check(net);
  NetWriter writer(title(net), false);
  const std::string side = " dim: " + std::to_string(kImage);
  writer.comment("Images (planes B, G, R) less their mean");
  writer.layer("Input", "data", {}, {"data"},
               {"input_param { shape { dim: 1 dim: 3" + side + side + " } }"});
  const std::string scores = write_body(writer, net);
  writer.layer("Softmax", "prob", {scores}, {"prob"});
  return heading(net, "the net for use") + writer.text();
}

std::string solver_text(const ImageNetNet& net) {
  check(net);
  const int images = net.batch * net.iter_size;
  std::string text = heading(net, "the recipe for training") +
                     "net: \"train_val.prototxt\"\n"
                     "test_interval: 5000  # a test covers every validation image once\n"
                     "test_initialization: false  # BatchNorm has no statistics before training\n"
                     "\n"
                     "iter_size: " +
                     std::to_string(net.iter_size) + "  # passes of " + std::to_string(net.batch) +
                     " images an update: " + std::to_string(images) +
                     (images == kPaperBatch ? ", as in the paper\n" : "; the paper's are 256\n") +
                     "base_lr: 0.1\n"
                     "gamma: 0.1\n";
  text += net.plateau ? "lr_policy: \"plateau\"  # of the training error\n"
                        "plateau_window: 5000\n"
                        "plateau_patience: 6\n"
                        "min_lr: 0.0001\n"
                      : "lr_policy: \"multistep\"\n"
                        "stepvalue: 150000\n"
                        "stepvalue: 300000\n"
                        "stepvalue: 450000\n";
  return text +
         "max_iter: 600000\n"
         "momentum: 0.9\n"
         "weight_decay: 0.0001\n"
         "random_seed: 1\n"
         "\n"
         "display: 100\n"
         "average_loss: 100\n"
         "snapshot: 5000\n"
         "keep_snapshots: 2\n"
         "keep_best: true\n"
         "snapshot_prefix: \"snapshots/" +
         file_name(net) + "\"\n";
}

}  // namespace resnet::cli
