#include "convert_images.h"

#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>

#include "flags.h"
#include "progress.h"
#include "resnet/base/json.h"
#include "resnet/base/parallel.h"
#include "resnet/data/convert.h"
#include "resnet/data/imagenet.h"
#include "resnet/io/checksum.h"
#include "resnet/io/files.h"
#include "resnet/solver/signals.h"

DECLARE_string(train);  // of convert.cpp
DEFINE_string(val, "", "PATH: imagenet: the validation set, a tar file or a folder");
DEFINE_string(devkit, "",
              "PATH: imagenet: the devkit, its folder or tar.gz: words, labels of --val");
DEFINE_string(val_list, "", "FILE: imagenet: labels of --val, lines \"name label\"");
DEFINE_string(root, "", "DIR: list: where relative paths begin (default: the list's folder)");
DEFINE_string(label_file, "", "FILE: tar: labels of its images, lines \"name label\"");
DEFINE_int32(resize_shorter, 0,
             "N: images: scale the shorter side to N pixels and store as JPEG (or --raw)");
DEFINE_int32(quality, 95, "Q: images: quality of these JPEG files, 1 to 100");
DEFINE_bool(raw, false, "images: store pixels in place of the original files");
DEFINE_bool(shuffle, false, "images: write them in random order, for programs that do not shuffle");

namespace fs = std::filesystem;

namespace resnet::cli {
namespace {

constexpr size_t kFewClasses = 20;  // are printed as a table

SourcePtr open_list_or_tar(const std::string& path, DataParameter::DB backend) {
  LayerParameter layer;
  layer.set_name("convert");
  layer.set_type("Data");
  layer.mutable_data_param()->set_source(path);
  layer.mutable_data_param()->set_backend(backend);
  if (!FLAGS_root.empty()) layer.mutable_data_param()->set_root(FLAGS_root);
  if (!FLAGS_label_file.empty()) layer.mutable_data_param()->set_label_file(FLAGS_label_file);
  return open_source(layer, TRAIN, "");
}

SourcePtr open_set(const std::string& kind, const std::string& path) {
  const DataParameter::DB backend = kind == "folder" ? DataParameter::FOLDER
                                    : kind == "list" ? DataParameter::LIST
                                                     : DataParameter::TAR;
  SourcePtr source = open_list_or_tar(path, backend);
  return FLAGS_labels.empty() ? source : with_class_names(source, FLAGS_labels);
}

// Of the files that decide about labels, so that a changed one makes another conversion.
uint64_t checksum_of_label_files(const std::string& list) {
  Checksum sum;
  for (const std::string& path :
       {list, FLAGS_labels, FLAGS_label_file, FLAGS_val_list, FLAGS_devkit}) {
    if (fs::is_regular_file(path)) sum.update(read_file(path));
  }
  return sum.value();
}

ConvertOptions convert_options() {
  if (FLAGS_resize_shorter < 0 || FLAGS_batch < 0) {
    throw ConfigError("--resize_shorter and --batch take numbers from 1");
  }
  if (FLAGS_quality < 1 || FLAGS_quality > 100) throw ConfigError("--quality is from 1 to 100");
  if (given("quality") && (FLAGS_resize_shorter == 0 || FLAGS_raw)) {
    throw ConfigError(
        "--quality is that of scaled JPEG files: it needs --resize_shorter, not --raw");
  }
  if (FLAGS_exif_orientation && FLAGS_resize_shorter == 0 && !FLAGS_raw) {
    throw ConfigError(
        "original files keep their EXIF orientation (transform_param obeys it on demand): "
        "--exif_orientation needs --resize_shorter or --raw");
  }
  ConvertOptions options;
  options.raw = FLAGS_raw;
  options.exif_orientation = FLAGS_exif_orientation;
  options.shorter_side = FLAGS_resize_shorter;
  options.quality = FLAGS_quality;
  options.shuffle = FLAGS_shuffle;
  options.seed = FLAGS_seed;
  if (FLAGS_batch > 0) options.batch = FLAGS_batch;
  return options;
}

std::string description_of(const DataSource& source, const ConvertOptions& options) {
  std::error_code unknown;
  std::string text = fs::weakly_canonical(source.name(), unknown).string();
  std::replace(text.begin(), text.end(), '\n', ' ');
  if (options.raw) text += " --raw";
  if (options.shorter_side > 0) {
    text += " --resize_shorter=" + std::to_string(options.shorter_side);
    if (!options.raw) text += " --quality=" + std::to_string(options.quality);
  }
  if (options.exif_orientation) text += " --exif_orientation";
  if (options.shuffle) text += " --shuffle --seed=" + std::to_string(options.seed);
  return text;
}

std::string hex(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

// A set that was written.
struct Written {
  std::string output;
  std::vector<std::string> class_names;
  ConvertReport report;

  std::string class_name(size_t label) const {
    return label < class_names.size() ? class_names[label] : std::to_string(label);
  }
  size_t classes() const { return std::max(class_names.size(), report.labels.size()); }
};

// How many records the classes have: each of a few, or the spread of many.
void print_classes(const Written& set) {
  std::vector<int64_t> counts = set.report.labels;
  counts.resize(set.classes());
  if (counts.empty()) return;
  if (counts.size() <= kFewClasses) {
    for (size_t label = 0; label < counts.size(); ++label) {
      std::printf("%3zu %-32s %8lld\n", label, set.class_name(label).c_str(),
                  static_cast<long long>(counts[label]));
    }
    return;
  }
  const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
  const auto label_of = [&](auto it) { return static_cast<size_t>(it - counts.begin()); };
  std::vector<int64_t> sorted = counts;
  std::sort(sorted.begin(), sorted.end());
  std::printf("%zu classes; images of a class: least %lld (%s), median %lld, most %lld (%s)\n",
              counts.size(), static_cast<long long>(*least),
              set.class_name(label_of(least)).c_str(),
              static_cast<long long>(sorted[sorted.size() / 2]), static_cast<long long>(*most),
              set.class_name(label_of(most)).c_str());
}

void print(const Written& set) {
  if (!FLAGS_quiet) print_classes(set);
  std::printf("%s: %lld images", set.output.c_str(), static_cast<long long>(set.report.records));
  if (set.report.bad > 0) {
    std::printf(", %lld bad left out", static_cast<long long>(set.report.bad));
  }
  if (set.report.odd > 0) {
    std::printf(", %lld of another kind than they are named",
                static_cast<long long>(set.report.odd));
  }
  std::printf("\ndigest: %s\n", hex(set.report.digest).c_str());
}

Json json_of(const Written& set) {
  return Json()
      .set("output", set.output)
      .set("images", set.report.records)
      .set("bad_images", set.report.bad)
      .set("odd_images", set.report.odd)
      .set("classes", set.classes())
      .set("digest", hex(set.report.digest));
}

// Nothing when a signal stopped it.
std::optional<Written> write(const DataSource& source, const std::string& output,
                             uint64_t label_checksum, SignalGuard& signals) {
  ConvertOptions options = convert_options();
  options.description = description_of(source, options);
  options.label_checksum = label_checksum;
  Progress progress("converting");
  ConvertHooks hooks;
  hooks.progress = [&](int64_t done, int64_t total) { progress.show(done, total); };
  hooks.stop = [&] { return signals.take() == Action::stop; };
  Written set{output, source.class_names(), convert_images(source, output, options, hooks)};
  if (set.report.done < set.report.images) {
    LOG(WARNING) << output << ": stopped after " << set.report.done << " of " << set.report.images
                 << " images; the same command goes on from there";
    return std::nullopt;
  }
  if (set.report.bad > 0) {
    LOG(WARNING) << output << ": " << set.report.bad << " of " << set.report.images
                 << " images are bad and were left out; "
                 << (fs::path(output) / "bad_images.txt").string() << " names them";
  }
  return set;
}

ExitCode convert_imagenet() {
  if (FLAGS_train.empty() && FLAGS_val.empty()) {
    throw ConfigError("convert imagenet needs --train, --val or both");
  }
  if (!FLAGS_devkit.empty() && !FLAGS_val_list.empty()) {
    throw ConfigError("--devkit and --val_list both say what is on the images of --val; give one");
  }
  if (FLAGS_val.empty() && !FLAGS_val_list.empty()) throw ConfigError("--val_list needs --val");
  const ImageNetSets sets = open_imagenet({.train = FLAGS_train,
                                           .val = FLAGS_val,
                                           .devkit = FLAGS_devkit,
                                           .val_list = FLAGS_val_list,
                                           .labels = FLAGS_labels});
  SignalGuard signals;
  Json json;
  const auto convert = [&](const SourcePtr& source, const char* name) {
    if (!source) return true;
    const std::string output = (fs::path(FLAGS_output) / (std::string(name) + ".lmdb")).string();
    const auto set = write(*source, output, checksum_of_label_files(""), signals);
    if (!set) return false;
    json.set(name, json_of(*set));
    if (!FLAGS_json) print(*set);
    return true;
  };
  if (!convert(sets.train, "train") || !convert(sets.val, "val")) return ExitCode::interrupted;
  if (FLAGS_json) std::cout << json.str() << '\n';
  return ExitCode::ok;
}

ExitCode convert_one(const std::string& kind, const std::string& path) {
  const SourcePtr source = open_set(kind, path);
  SignalGuard signals;
  const uint64_t checksum = checksum_of_label_files(kind == "list" ? path : "");
  const auto set = write(*source, FLAGS_output, checksum, signals);
  if (!set) return ExitCode::interrupted;
  if (FLAGS_json) {
    std::cout << json_of(*set).str() << '\n';
  } else {
    print(*set);
  }
  return ExitCode::ok;
}

}  // namespace

bool is_image_set(const std::string& kind) {
  return kind == "folder" || kind == "list" || kind == "tar" || kind == "imagenet";
}

ExitCode convert_image_set(const Operands& operands) {
  const std::string& kind = operands[0];
  const size_t expected = kind == "imagenet" ? 1 : 2;
  if (operands.size() != expected) {
    throw ConfigError(kind == "imagenet" ? "convert imagenet takes --train and --val, no operands"
                                         : "convert " + kind + " takes one path");
  }
  if (FLAGS_threads < 0) throw ConfigError("--threads takes a number from 0, not a negative one");
  LOG(INFO) << setup_threads(FLAGS_threads, Bind::none);
  return kind == "imagenet" ? convert_imagenet() : convert_one(kind, operands[1]);
}

}  // namespace resnet::cli
