// `resnet define`: writes the paper's nets with their recipes.
#include <filesystem>
#include <iostream>

#include "cifar_nets.h"
#include "cli.h"
#include "flags.h"
#include "resnet/io/files.h"

DECLARE_string(format);
DECLARE_string(mean);
DEFINE_string(family, "cifar", "cifar: nets of 6n+2 layers for images of 32x32 pixels");
DEFINE_int32(depth, 0, "N: weighted layers");
DEFINE_string(shortcut, "A",
              "A|B|C|none: where dimensions change, pad the identity with zeros (A) or convolve "
              "(B); convolve everywhere (C); a plain net (none)");

namespace resnet::cli {
namespace {

CifarNet read_flags() {
  if (FLAGS_family != "cifar")
    throw ConfigError("--family takes cifar, not '" + FLAGS_family + "'");
  CifarNet net;
  net.depth = FLAGS_depth;
  net.shortcut = parse_shortcut(FLAGS_shortcut);
  if (given("format")) {
    if (FLAGS_format != "cifar" && FLAGS_format != "lmdb") {
      throw ConfigError("--format takes cifar or lmdb, not '" + FLAGS_format + "'");
    }
    net.lmdb = FLAGS_format == "lmdb";
  }
  if (given("source")) net.source = FLAGS_source;
  if (given("mean")) net.mean_file = FLAGS_mean;
  check(net);
  return net;
}

ExitCode run(const Operands&) {
  const CifarNet net = read_flags();
  const std::filesystem::path folder(FLAGS_output);
  const std::pair<const char*, std::string> files[] = {{"train_val.prototxt", train_val_text(net)},
                                                       {"deploy.prototxt", deploy_text(net)},
                                                       {"solver.prototxt", solver_text(net)}};
  for (const auto& [name, text] : files) {
    const std::string path = (folder / name).string();
    prepare_directory_of(path);
    write_file_atomic(path, {text});
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
    .flags = {{"family"},
              required("depth"),
              {"shortcut"},
              {"format", "cifar|lmdb: what the data set is (default cifar)"},
              {"source",
               "DIR: the data set as `resnet convert` writes it: a folder of CIFAR-10's binary "
               "files, or of train.lmdb and test.lmdb"},
              {"mean", "FILE: the mean image (default mean.binaryproto in the source)"},
              required("output", "DIR: where to write train_val, deploy and solver.prototxt")},
    .examples =
        "resnet define --depth=20 --output=models/cifar10/resnet20\n"
        "resnet define --depth=56 --shortcut=none --format=lmdb --source=data/shapes "
        "--output=plain56",
    .run = run,
};

}  // namespace resnet::cli
