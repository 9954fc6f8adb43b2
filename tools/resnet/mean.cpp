// `resnet mean`: the mean image of a data set.
#include <iostream>
#include <numeric>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "resnet/base/json.h"
#include "resnet/data/mean.h"
#include "resnet/io/mean_file.h"

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

ExitCode run(const Operands&) {
  const SourcePtr source = open_source(FLAGS_source, given("phase") ? parse_phase() : TRAIN);
  const ImageMean mean = compute_mean(*source);
  write_mean(FLAGS_output, {mean.shape, {mean.values.begin(), mean.values.end()}});
  const std::vector<double> channels = channel_means(mean);
  if (FLAGS_json) {
    Json values = Json::array();
    for (const double value : channels) values.push(value);
    std::cout << Json().set("images", source->size()).set("channel_means", values).str() << '\n';
    return ExitCode::ok;
  }
  std::cout << FLAGS_output << ": mean of " << source->size() << " images of shape "
            << mean.shape.str() << "; by channel (B,G,R):";
  for (const double value : channels) std::cout << ' ' << value;
  std::cout << '\n';
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
              {"json"}},
    .examples = "resnet mean --source=data/shapes --output=mean.binaryproto",
    .run = run,
};

}  // namespace resnet::cli
