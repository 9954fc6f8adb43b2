// `resnet mean`: the mean image of a data set, and the principal components of its colours.
#include <filesystem>
#include <iostream>
#include <numeric>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "progress.h"
#include "resnet/base/json.h"
#include "resnet/data/mean.h"
#include "resnet/io/files.h"
#include "resnet/io/mean_file.h"

DECLARE_int32(resize);
DEFINE_int32(crop, 0, "N: take the mean of the N x N pixels in the centre");
DEFINE_bool(
    pca, false,
    "also write the principal components of the colours, for color_file, beside the output");

namespace resnet::cli {
namespace {

// Means of the planes.
std::vector<double> channel_means(const ImageMean& mean) {
  const int64_t plane = mean.shape.count_from(1);
  std::vector<double> out;
  for (int64_t c = 0; c < mean.shape[0]; ++c) {
    const auto begin = mean.values.begin() + c * plane;
    out.push_back(std::accumulate(begin, begin + plane, 0.0) / static_cast<double>(plane));
  }
  return out;
}

// mean.binaryproto -> mean.pca.prototxt
std::string colour_file() {
  return std::filesystem::path(FLAGS_output).replace_extension(".pca.prototxt").string();
}

Json array(const auto& values) {
  Json out = Json::array();
  for (const double value : values) out.push(value);
  return out;
}

void print_json(const ImageMean& mean, int64_t images) {
  Json out;
  out.set("images", images).set("channel_means", array(channel_means(mean)));
  if (mean.colours) {
    Json vectors = Json::array();
    for (const auto& vector : mean.colours->eigenvector) vectors.push(array(vector));
    out.set("color_file", colour_file())
        .set("eigenvalues", array(mean.colours->eigenvalue))
        .set("eigenvectors", vectors);
  }
  std::cout << out.str() << '\n';
}

void print(const ImageMean& mean, int64_t images) {
  std::cout << FLAGS_output << ": mean of " << images << " images of shape " << mean.shape.str()
            << "; by channel (B,G,R):";
  for (const double value : channel_means(mean)) std::cout << ' ' << value;
  std::cout << '\n';
  if (!mean.colours) return;
  std::cout << colour_file() << ": principal components of the colours\n";
  for (size_t i = 0; i < 3; ++i) {
    const auto& vector = mean.colours->eigenvector[i];
    std::cout << "  eigenvalue " << mean.colours->eigenvalue[i] << ", eigenvector (B,G,R) "
              << vector[0] << ' ' << vector[1] << ' ' << vector[2] << '\n';
  }
}

ExitCode run(const Operands&) {
  if (FLAGS_resize < 0 || FLAGS_crop < 0) {
    throw ConfigError("--resize and --crop take numbers of pixels from 1");
  }
  prepare_directory_of(FLAGS_output);
  const SourcePtr source = open_source(FLAGS_source, given("phase") ? parse_phase() : TRAIN);
  ImageMean mean;
  {
    Progress progress("images");
    MeanOptions options;
    options.resize_shorter = FLAGS_resize;
    options.crop = FLAGS_crop;
    options.colours = FLAGS_pca;
    options.exif_orientation = FLAGS_exif_orientation;
    options.progress = [&](int64_t done, int64_t total) { progress.show(done, total); };
    mean = compute_mean(*source, options);
  }
  write_mean(FLAGS_output, {mean.shape, {mean.values.begin(), mean.values.end()}});
  if (mean.colours) {
    write_file_atomic(colour_file(),
                      {"# Eigenvalues, largest first, and eigenvectors (B,G,R) of the "
                       "covariance of pixels in [0,1].\n" +
                       to_message(*mean.colours).DebugString()});
  }
  FLAGS_json ? print_json(mean, source->size()) : print(mean, source->size());
  return ExitCode::ok;
}

}  // namespace

extern const Command kMean = {
    .name = "mean",
    .summary = "Compute the mean image of a data set",
    .operands = "",
    .computes = false,
    .flags = {required("source"),
              {"phase", "TRAIN|TEST: which files of a folder of CIFAR-10's (default TRAIN)"},
              required("output", "FILE: the mean file to write (binaryproto)"),
              {"resize", "N: scale the shorter side of images to N pixels first"},
              {"crop"},
              {"pca"},
              {"exif_orientation"},
              {"json"}},
    .examples =
        "resnet mean --source=data/shapes --output=mean.binaryproto\n"
        "resnet mean --source=data/imagenet/train.lmdb --resize=256 --crop=224 --pca "
        "--output=data/imagenet/mean.binaryproto",
    .run = run,
};

}  // namespace resnet::cli
