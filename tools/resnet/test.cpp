// `resnet test`: error on a data set.
#include <cstdio>
#include <iostream>
#include <optional>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "net_input.h"
#include "progress.h"
#include "report.h"
#include "resnet/base/json.h"
#include "resnet/eval/evaluate.h"
#include "setup.h"
#include "test_views.h"

DEFINE_string(
    protocol, "1crop",
    "1crop|10crop|dense: how an image is looked at: its centre; corners, centre and their "
    "mirror images; whole, fully convolutionally, with its mirror image");

namespace resnet::cli {
namespace {

constexpr int kTopMore = 5;  // the error that is reported beside top-1

// The images to test on: those at --source, or those that the net names.
Feed open_images(const NetFile& file) {
  if (!FLAGS_source.empty()) {
    const auto stored = read_caffemodel(FLAGS_weights).preprocessing;
    return source_feed(file, FLAGS_source, preprocessing_for(file, stored));
  }
  Feed feed(file.net, file.feed_options(TEST));
  if (!feed.empty()) return feed;
  throw ConfigError("the net names no data set for the phase TEST; give one by --source=PATH");
}

Shapes input_shapes(const NetFile& file, const Feed& feed) {
  if (FLAGS_source.empty()) return feed.shapes();
  return shapes_for_images(file, TEST, feed.loader(0).record_shape());
}

void print_text(const ScoreResult& result) {
  const ScoreMetrics& scores = result.metrics;
  for (const Metric& metric : result.net.metrics) {
    std::cout << metric.name << " = " << static_cast<float>(metric.value) << '\n';
  }
  char line[160];
  std::snprintf(line, sizeof line, "error on %lld images (%s): top-1 %.2f %%",
                static_cast<long long>(scores.images()), FLAGS_protocol.c_str(),
                100 * scores.error(1));
  std::cout << line;
  if (scores.classes() > kTopMore) {
    std::snprintf(line, sizeof line, ", top-5 %.2f %%", 100 * scores.error(kTopMore));
    std::cout << line;
  }
  std::snprintf(line, sizeof line, "; %.1f images/s\n",
                static_cast<double>(scores.images()) / result.net.seconds);
  std::cout << line;
}

void print_json(const ScoreResult& result, const Net& net, const Backend& backend) {
  const ScoreMetrics& scores = result.metrics;
  Json out, outputs;
  for (const Metric& metric : result.net.metrics) outputs.set(metric.name, metric.value);
  out.set("test_error_top1", 100 * scores.error(1));
  if (scores.classes() > kTopMore) out.set("test_error_top5", 100 * scores.error(kTopMore));
  out.set("images", scores.images()).set("protocol", FLAGS_protocol).set("outputs", outputs);
  out.set("images_per_s", static_cast<double>(scores.images()) / result.net.seconds);
  out.set("peak_bytes", peak_bytes()).set("parameters", parameter_count(net));
  out.set("device", backend.description());
  std::cout << out.str() << '\n';
}

ExitCode run(const Operands&) {
  if (FLAGS_protocol != "1crop" || wants_views()) return test_views();
  const NetFile file = read_net_file(TEST);
  const std::string scores = score_blob(file.net, file.graph_options(TEST));
  const std::shared_ptr<Backend> backend = open_backend();
  Feed feed = open_images(file);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, input_shapes(file, feed));
  load_weights_flag(*net);

  Progress progress("images");
  EvalOptions options;
  options.progress = [&](int64_t images, int64_t total) { progress.show(images, total); };
  const ScoreResult result = evaluate_single_view(*net, feed, scores, options);
  if (FLAGS_json) {
    print_json(result, *net, *backend);
  } else {
    print_text(result);
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kTest = {
    .name = "test",
    .summary = "Measure the error of a net on a data set",
    .operands = "",
    .computes = true,
    .flags = {required("model", "FILE[,FILE..]: the net, or the nets of an ensemble"),
              required("weights",
                       "FILE[,FILE..]: its weights; of an ensemble in the order of the nets"),
              {"source"},
              {"protocol"},
              {"scales"},
              {"average"},
              {"batch"},
              {"loader_threads"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet test --model=train_val.prototxt --weights=net.caffemodel\n"
        "resnet test --model=deploy.prototxt --weights=net.caffemodel --source=test_lmdb\n"
        "resnet test --model=deploy.prototxt --weights=net.caffemodel --source=val_lmdb "
        "--protocol=dense --scales=224,256,384,480,640",
    .run = run,
};

}  // namespace resnet::cli
