// `resnet convert`: data sets in the forms that nets read.
#include <cstdio>
#include <iostream>
#include <numeric>

#include "cli.h"
#include "flags.h"
#include "progress.h"
#include "resnet/base/json.h"
#include "resnet/base/nearest.h"
#include "resnet/data/shapes.h"
#include "resnet/data/writer.h"

DEFINE_string(format, "", "cifar|lmdb: binary files as CIFAR-10's, or LMDB folders");
DEFINE_int32(train, 20000, "N: shapes: images of the training set");
DEFINE_int32(test, 4000, "N: shapes: images of the test set");

namespace resnet::cli {
namespace {

struct Sets {
  SourcePtr train, test;
  SetFormat format;
};

// What the operands name: "shapes", or "cifar10 DIR".
Sets open_sets(const Operands& operands) {
  const std::string kind = operands.empty() ? "" : operands[0];
  const auto format = [](SetFormat usual) {
    return given("format") ? parse_set_format(FLAGS_format) : usual;
  };
  if (kind == "shapes") {
    if (operands.size() > 1) throw ConfigError("convert shapes takes no folder");
    return {open_shapes(FLAGS_seed, TRAIN, FLAGS_train), open_shapes(FLAGS_seed, TEST, FLAGS_test),
            format(SetFormat::cifar)};
  }
  if (kind == "cifar10") {
    if (operands.size() != 2) throw ConfigError("convert cifar10 takes one folder");
    return {open_source(operands[1], TRAIN), open_source(operands[1], TEST),
            format(SetFormat::lmdb)};
  }
  throw ConfigError(kind.empty()
                        ? "convert what? cifar10 DIR, or shapes"
                        : "'" + kind + "' is no kind of data set" +
                              suggestion(kind, {"cifar10", "shapes"}, "; cifar10 and shapes are"));
}

int64_t total(const std::vector<int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), int64_t{0});
}

void print_labels(const Sets& sets, const WrittenSet& written) {
  const std::vector<std::string> names = sets.train->class_names();
  for (size_t label = 0; label < written.train_labels.size(); ++label) {
    const int64_t tests = label < written.test_labels.size() ? written.test_labels[label] : 0;
    std::printf("%3zu %-16s %8lld %8lld\n", label, label < names.size() ? names[label].c_str() : "",
                static_cast<long long>(written.train_labels[label]), static_cast<long long>(tests));
  }
}

ExitCode run(const Operands& operands) {
  const Sets sets = open_sets(operands);
  WrittenSet written;
  {
    Progress progress("converting");
    written = write_set(*sets.train, *sets.test, FLAGS_output, sets.format,
                        [&](int64_t done, int64_t all) { progress.show(done, all); });
  }
  char digest[17];
  std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(written.digest));
  if (FLAGS_json) {
    std::cout << Json()
                     .set("train", written.train)
                     .set("test", written.test)
                     .set("train_images", total(written.train_labels))
                     .set("test_images", total(written.test_labels))
                     .set("digest", std::string(digest))
                     .str()
              << '\n';
    return ExitCode::ok;
  }
  if (!FLAGS_quiet) print_labels(sets, written);
  std::printf("train: %s, %lld images\ntest: %s, %lld images\ndigest: %s\n", written.train.c_str(),
              static_cast<long long>(total(written.train_labels)), written.test.c_str(),
              static_cast<long long>(total(written.test_labels)), digest);
  return ExitCode::ok;
}

}  // namespace

extern const Command kConvert = {
    .name = "convert",
    .summary = "Write a data set in a form that nets read",
    .operands = "cifar10 DIR | shapes",
    .computes = false,
    .flags = {required("output", "DIR: new folder for the training and the test set"),
              {"format"},
              {"train"},
              {"test"},
              {"seed", "N: shapes: seed of the images (default 1)"},
              {"json"}},
    .examples =
        "resnet convert shapes --output=data/shapes\n"
        "resnet convert cifar10 data/cifar-10-batches-bin --output=data/cifar10",
    .run = run,
};

}  // namespace resnet::cli
