// `resnet define`: writes the paper's nets with their recipes.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <iostream>

#include "cifar_nets.h"
#include "cli.h"
#include "flags.h"
#include "imagenet_nets.h"
#include "resnet/io/files.h"

DECLARE_string(format);
DECLARE_string(mean);
DECLARE_int32(batch);
DEFINE_string(family, "cifar",
              "cifar|imagenet: nets of 6n+2 layers for 32x32 pixels, or of table 1 for 224x224");
DEFINE_int32(depth, 0, "N: weighted layers");
DEFINE_string(shortcut, "A",
              "A|B|C|none: where dimensions change, pad the identity with zeros (A) or convolve "
              "(B); convolve everywhere (C); a plain net (none)");
DEFINE_string(stages, "", "N,N,..: imagenet: blocks in each stage, in place of --depth");
DEFINE_string(block, "basic", "basic|bottleneck: imagenet: the blocks of --stages");
DEFINE_string(stride_in, "1x1",
              "1x1|3x3: imagenet: the convolution of a bottleneck that halves the image");
DEFINE_string(
    pool1, "published",
    "published|padded: imagenet: pool1's windows begin with the image, or a pixel before it as "
    "torchvision's do");
DEFINE_int32(classes, 0, "K: classes (default 10, imagenet 1000)");
DEFINE_int32(iter_size, 1, "N: imagenet: passes an update; without --batch each has 256/N images");
DEFINE_int32(
    group_size, 0,
    "N: imagenet: images that share BatchNorm's statistics; 32 as in the paper (0: a batch)");
DEFINE_string(schedule, "plateau",
              "plateau|steps: imagenet: when to divide the learning rate by 10");

namespace resnet::cli {
namespace {

struct NetTexts {
  std::string train_val, deploy, solver;
};

template <class Net>
NetTexts texts_of(const Net& net) {
  return {train_val_text(net), deploy_text(net), solver_text(net)};
}

// Whether the flag has the second of its two values.
bool is_second(const char* flag, const std::string& value, const char* first, const char* second) {
  if (value != first && value != second) {
    throw ConfigError("--" + std::string(flag) + " takes " + first + " or " + second + ", not '" +
                      value + "'");
  }
  return value == second;
}

void refuse_flags(std::initializer_list<const char*> flags) {
  for (const char* flag : flags) {
    if (given(flag)) {
      throw ConfigError("--" + std::string(flag) + " is not for --family=" + FLAGS_family +
                        "; leave it out");
    }
  }
}

CifarNet cifar_net() {
  refuse_flags(
      {"stages", "block", "stride_in", "pool1", "iter_size", "group_size", "schedule", "batch"});
  if (!given("depth")) throw ConfigError("--depth is missing: the weighted layers, 6n+2");
  CifarNet net;
  net.depth = FLAGS_depth;
  net.shortcut = parse_shortcut(FLAGS_shortcut);
  if (given("classes")) net.classes = FLAGS_classes;
  if (given("format")) net.lmdb = is_second("format", FLAGS_format, "cifar", "lmdb");
  if (given("source")) net.source = FLAGS_source;
  if (given("mean")) net.mean_file = FLAGS_mean;
  check(net);
  return net;
}

std::vector<int> read_stages() {
  std::vector<int> stages;
  for (const std::string& text : split_list(FLAGS_stages)) {
    int blocks = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), blocks);
    if (error != std::errc() || end != text.data() + text.size()) {
      throw ConfigError("--stages takes numbers of blocks such as 3,4,6,3, not '" + FLAGS_stages +
                        "'");
    }
    stages.push_back(blocks);
  }
  return stages;
}

ImageNetNet net_of_stages() {
  ImageNetNet net;
  net.stages = read_stages();
  if (is_second("block", FLAGS_block, "basic", "bottleneck")) {
    net.block = ResidualBlock::Type::bottleneck;
    net.shortcut = Shortcut::b;
  }
  return net;
}

ImageNetNet::Format imagenet_format() {
  if (FLAGS_format == "lmdb") return ImageNetNet::Format::lmdb;
  if (FLAGS_format == "folder") return ImageNetNet::Format::folder;
  if (FLAGS_format == "tar") return ImageNetNet::Format::tar;
  throw ConfigError("--format takes lmdb, folder or tar for --family=imagenet, not '" +
                    FLAGS_format + "'");
}

bool is_number(const std::string& text) {
  float value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

// --mean: a file, or numbers.
void set_mean(ImageNetNet* net) {
  const std::vector<std::string> parts = split_list(FLAGS_mean);
  const auto numbers = std::count_if(parts.begin(), parts.end(), is_number);
  if (numbers == 0 && !parts.empty()) {
    net->mean_file = FLAGS_mean;
  } else if (numbers == 3 && parts.size() == 3) {
    net->mean_values = parts;
  } else {
    throw ConfigError("--mean takes a file, or three values B,G,R, not '" + FLAGS_mean + "'");
  }
}

ImageNetNet read_imagenet_net() {
  if (given("depth") == given("stages")) {
    throw ConfigError("--family=imagenet takes either --depth or --stages");
  }
  if (given("block") && !given("stages")) {
    throw ConfigError("--block goes with --stages; --depth says which blocks the net has");
  }
  ImageNetNet net = given("stages") ? net_of_stages() : imagenet_net(FLAGS_depth);
  if (given("shortcut")) net.shortcut = parse_shortcut(FLAGS_shortcut);
  net.stride_in_3x3 = is_second("stride_in", FLAGS_stride_in, "1x1", "3x3");
  net.pad_pool1 = is_second("pool1", FLAGS_pool1, "published", "padded");
  if (given("classes")) net.classes = FLAGS_classes;
  net.iter_size = FLAGS_iter_size;
  if (given("batch")) {
    net.batch = FLAGS_batch;
  } else if (net.iter_size > 0) {
    if (net.batch % net.iter_size != 0) {
      throw ConfigError("--iter_size=" + std::to_string(net.iter_size) +
                        " does not divide 256; give --batch too");
    }
    net.batch /= net.iter_size;
  }
  net.group_size = FLAGS_group_size;
  net.plateau = !is_second("schedule", FLAGS_schedule, "plateau", "steps");
  if (given("source") && FLAGS_source.empty()) throw ConfigError("--source takes a folder");
  if (given("format")) net.format = imagenet_format();
  if (given("source")) net.source = FLAGS_source;
  if (given("mean")) set_mean(&net);
  check(net);
  return net;
}

ExitCode run(const Operands&) {
  const NetTexts texts = is_second("family", FLAGS_family, "cifar", "imagenet")
                             ? texts_of(read_imagenet_net())
                             : texts_of(cifar_net());
  const std::filesystem::path folder(FLAGS_output);
  const std::pair<const char*, const std::string*> files[] = {
      {"train_val.prototxt", &texts.train_val},
      {"deploy.prototxt", &texts.deploy},
      {"solver.prototxt", &texts.solver}};
  for (const auto& [name, text] : files) {
    const std::string path = (folder / name).string();
    prepare_directory_of(path);
    write_file_atomic(path, {*text});
    std::cout << path << '\n';
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kDefine = {
    .name = "define",
    .summary = "Write one of the paper's nets, with its solver, as prototxt",
    .operands = "",
    .computes = false,
    .flags =
        {{"family"},
         {"depth"},
         {"shortcut",
          "A|B|C|none: where dimensions change, pad the identity with zeros (A) or "
          "convolve (B); convolve everywhere (C); a plain net (none). Default: A, "
          "with bottlenecks B"},
         {"stages"},
         {"block"},
         {"stride_in"},
         {"pool1"},
         {"classes"},
         {"batch", "N: imagenet: images a pass (default 256 / iter_size)"},
         {"iter_size"},
         {"group_size"},
         {"schedule"},
         {"format",
          "cifar|lmdb|folder|tar: what the data set is (default cifar; imagenet lmdb, or class "
          "folders, or the original tar files)"},
         {"source",
          "DIR: the data set as `resnet convert` writes it: a folder of CIFAR-10's binary "
          "files, or of train.lmdb and test.lmdb; imagenet: a folder of train.lmdb and val.lmdb; "
          "of train and val; or of ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar and val.txt"},
         {"mean",
          "FILE|B,G,R: the mean image (default mean.binaryproto in the source); imagenet: or "
          "mean values"},
         required("output", "DIR: where to write train_val, deploy and solver.prototxt")},
    .examples =
        "resnet define --depth=20 --output=models/cifar10/resnet20\n"
        "resnet define --depth=56 --shortcut=none --format=lmdb --source=data/shapes "
        "--output=plain56\n"
        "resnet define --family=imagenet --depth=50 --iter_size=16 --output=resnet50\n"
        "resnet define --family=imagenet --stages=2,3,3,2 --block=bottleneck --classes=100 "
        "--output=mine",
    .run = run,
};

}  // namespace resnet::cli
