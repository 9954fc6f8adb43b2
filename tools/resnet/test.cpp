// `resnet test`: error on a data set.
#include <optional>
#include <span>

#include "cli.h"
#include "flags.h"
#include "net_file.h"
#include "net_input.h"
#include "progress.h"
#include "report.h"
#include "resnet/eval/evaluate.h"
#include "resnet/eval/predictions.h"
#include "setup.h"
#include "test_report.h"
#include "test_result.h"
#include "test_views.h"

DEFINE_string(
    protocol, "1crop",
    "1crop|10crop|dense: how an image is looked at: its centre; corners, centre and their "
    "mirror images; whole, fully convolutionally, with its mirror image");
DEFINE_string(report, "",
              "DIR: also write figures, every prediction and a page to look at (report.html)");

namespace resnet::cli {
namespace {

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

// Adds a batch of the feed to the log.
void record(const Feed& feed, std::span<const float> scores, std::span<const float> labels,
            PredictionLog* log) {
  const std::vector<std::string> keys = feed.last_keys();
  const size_t classes = scores.size() / labels.size();
  for (size_t i = 0; i < labels.size(); ++i) {
    log->add(keys[i], static_cast<int64_t>(labels[i]), scores.subspan(i * classes, classes));
  }
}

ExitCode run(const Operands&) {
  std::optional<ReportFolder> report;
  if (!FLAGS_report.empty()) report.emplace(FLAGS_report);
  if (FLAGS_protocol != "1crop" || wants_views()) return test_views(report ? &*report : nullptr);

  const NetFile file = read_net_file(TEST);
  const GraphOptions graph = file.graph_options(TEST);
  const std::string scores = score_blob(file.net, graph);
  const std::shared_ptr<Backend> backend = open_backend();
  Feed feed = open_images(file);
  const std::unique_ptr<Net> net = build_net(file, backend, TEST, input_shapes(file, feed));
  const WeightSet weights = load_weights_flag(*net);

  PredictionLog log(is_softmax_top(file.net, graph, scores) ? ScoreKind::probabilities
                                                            : ScoreKind::logits);
  Progress progress("images");
  EvalOptions options;
  options.progress = [&](int64_t images, int64_t total) { progress.show(images, total); };
  ScoreObserver observer;
  if (report) {
    observer = [&](auto values, auto labels) { record(feed, values, labels, &log); };
  }
  const ScoreResult measured = evaluate_single_view(*net, feed, scores, options, observer);
  const TestResult result{.protocol = FLAGS_protocol,
                          .scores = measured.metrics,
                          .outputs = measured.net.metrics,
                          .seconds = measured.net.seconds,
                          .parameters = parameter_count(*net)};
  if (report) {
    const DataSource& source = feed.loader(0).source();
    write_report(*report, {result,
                           log,
                           source,
                           class_names(source, weights.preprocessing),
                           {{FLAGS_model, FLAGS_weights}}});
  }
  print(result, backend->description());
  return ExitCode::ok;
}

}  // namespace

extern const Command kTest = {
    .name = "test",
    .summary = "Measure the error of a net on a data set",
    .operands = "",
    .computes = true,
    .flags = {{"model",
               "FILE[,FILE..]: the net, or the nets of an ensemble; default: those in the weights"},
              required("weights",
                       "FILE[,FILE..]: its weights; of an ensemble in the order of the nets"),
              {"source"},
              {"protocol"},
              {"scales"},
              {"average"},
              {"report"},
              {"labels"},
              {"batch"},
              {"loader_threads"},
              {"stage"},
              {"level"},
              {"allow_missing"},
              {"json"}},
    .examples =
        "resnet test --model=train_val.prototxt --weights=net.caffemodel\n"
        "resnet test --model=deploy.prototxt --weights=net.caffemodel --source=test_lmdb "
        "--report=report\n"
        "resnet test --model=deploy.prototxt --weights=net.caffemodel --source=val_lmdb "
        "--protocol=dense --scales=224,256,384,480,640",
    .run = run,
};

}  // namespace resnet::cli
