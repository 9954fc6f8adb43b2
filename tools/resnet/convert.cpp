// `resnet convert`: data sets in the forms that nets read.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <map>
#include <numeric>
#include <set>

#include "cli.h"
#include "convert_images.h"
#include "flags.h"
#include "progress.h"
#include "resnet/base/json.h"
#include "resnet/base/nearest.h"
#include "resnet/data/shapes.h"
#include "resnet/data/writer.h"

DEFINE_string(format, "", "cifar|lmdb: binary files as CIFAR-10's, or LMDB folders");
DEFINE_string(train, "",
              "PATH|N: imagenet: the training set, a tar file or a folder; shapes: images of the "
              "training set (default 20000)");
DEFINE_int32(test, 4000, "N: shapes: images of the test set");

namespace resnet::cli {
namespace {

// The flags that belong to some kinds of set only.
const std::set<std::string>& own_flags(const std::string& kind) {
  static const std::set<std::string> images = {
      "labels",  "resize_shorter", "quality", "raw",    "exif_orientation",
      "shuffle", "seed",           "batch",   "threads"};
  const auto with = [](std::set<std::string> flags) {
    flags.insert(images.begin(), images.end());
    return flags;
  };
  static const std::map<std::string, std::set<std::string>> flags = {
      {"cifar10", {"format"}},
      {"shapes", {"format", "train", "test", "seed"}},
      {"folder", images},
      {"list", with({"root"})},
      {"tar", with({"label_file"})},
      {"imagenet", with({"train", "val", "devkit", "val_list"})},
  };
  return flags.at(kind);
}

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> all = {"folder",   "list",    "tar",
                                               "imagenet", "cifar10", "shapes"};
  return all;
}

// Throws ConfigError for a kind that is none, and for flags of other kinds.
void check(const Operands& operands) {
  if (operands.empty()) {
    throw ConfigError(
        "convert what? folder DIR, list FILE, tar FILE, imagenet, cifar10 DIR, shapes");
  }
  const std::string& kind = operands[0];
  if (std::find(kinds().begin(), kinds().end(), kind) == kinds().end()) {
    throw ConfigError(
        "'" + kind + "' is no kind of data set" +
        suggestion(kind, kinds(), "; folder, list, tar, imagenet, cifar10 and shapes are"));
  }
  const auto refuse = [&](const std::string& flag, const std::string& other) {
    throw ConfigError("--" + flag + " does not belong to convert " + kind + ", but to convert " +
                      other);
  };
  for (const std::string& other : kinds()) {
    for (const std::string& flag : own_flags(other)) {
      if (given(flag.c_str()) && !own_flags(kind).contains(flag)) refuse(flag, other);
    }
  }
}

// --train of shapes, which for imagenet is a path.
int64_t train_count() {
  if (!given("train")) return 20000;
  int64_t count = 0;
  const char* end = FLAGS_train.data() + FLAGS_train.size();
  const auto [stop, error] = std::from_chars(FLAGS_train.data(), end, count);
  if (error != std::errc() || stop != end) {
    throw ConfigError("convert shapes: --train takes a number of images, not '" + FLAGS_train +
                      "'");
  }
  return count;
}

struct Sets {
  SourcePtr train, test;
  SetFormat format;
};

// What the operands name: "shapes", or "cifar10 DIR".
Sets open_sets(const Operands& operands) {
  const std::string& kind = operands[0];
  const auto format = [](SetFormat usual) {
    return given("format") ? parse_set_format(FLAGS_format) : usual;
  };
  if (kind == "shapes") {
    if (operands.size() > 1) throw ConfigError("convert shapes takes no folder");
    return {open_shapes(FLAGS_seed, TRAIN, train_count()),
            open_shapes(FLAGS_seed, TEST, FLAGS_test), format(SetFormat::cifar)};
  }
  if (operands.size() != 2) throw ConfigError("convert cifar10 takes one folder");
  return {open_source(operands[1], TRAIN), open_source(operands[1], TEST), format(SetFormat::lmdb)};
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
  check(operands);
  if (is_image_set(operands[0])) return convert_image_set(operands);
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
    .operands = "folder|list|tar|cifar10 PATH | imagenet | shapes",
    .computes = false,
    .flags = {required("output",
                       "DIR: new folder: folder, list, tar: an LMDB; others: one for both sets"),
              {"train"},
              {"val"},
              {"devkit"},
              {"val_list"},
              {"root"},
              {"label_file"},
              {"labels",
               "FILE: images: class names, a line each: \"NAME WORDS\" or in label order"},
              {"resize_shorter"},
              {"quality"},
              {"raw"},
              {"exif_orientation"},
              {"shuffle"},
              {"batch", "N: images: how many are prepared and written at a time (default 256)"},
              {"threads", "N: images: threads that decode; 0: OMP_NUM_THREADS, or one a core"},
              {"format"},
              {"test"},
              {"seed", "N: shapes: seed of the images; --shuffle: of the order (default 1)"},
              {"json"}},
    .examples =
        "resnet convert folder photos/train --output=photos/train.lmdb\n"
        "resnet convert list train.txt --root=images --output=train.lmdb\n"
        "resnet convert imagenet --train=ILSVRC2012_img_train.tar --val=ILSVRC2012_img_val.tar "
        "--devkit=ILSVRC2012_devkit_t12.tar.gz --output=data/imagenet\n"
        "resnet convert cifar10 data/cifar-10-batches-bin --output=data/cifar10\n"
        "resnet convert shapes --output=data/shapes",
    .run = run,
};

}  // namespace resnet::cli
