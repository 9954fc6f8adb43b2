#include "test_views.h"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <span>

#include "flags.h"
#include "net_file.h"
#include "net_input.h"
#include "progress.h"
#include "resnet/base/parallel.h"
#include "resnet/data/image.h"
#include "resnet/data/transform.h"
#include "resnet/eval/evaluate.h"
#include "resnet/eval/predictions.h"
#include "resnet/eval/protocol.h"
#include "setup.h"
#include "test_report.h"
#include "test_result.h"

DECLARE_string(protocol);
DEFINE_string(scales, "", "N,N,..: shorter sides that images are scaled to, in pixels");
DEFINE_string(average, "probabilities",
              "probabilities|logits: what is averaged over positions, views, scales and models");

namespace resnet::cli {
namespace {

constexpr int64_t kBlock = 16;  // images read and decoded at a time
constexpr int64_t kCrops = 20;  // at a time, unless --batch says otherwise

Protocol read_protocol() {
  Protocol protocol;
  protocol.kind = parse_protocol(FLAGS_protocol);
  for (const std::string& text : split_list(FLAGS_scales)) {
    int64_t scale = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), scale);
    if (error != std::errc() || end != text.data() + text.size() || scale < 1 || scale > 10000) {
      throw ConfigError("--scales takes pixels such as 224,256, not '" + FLAGS_scales + "'");
    }
    protocol.scales.push_back(scale);
  }
  if (FLAGS_average == "logits") {
    protocol.average = ScoreKind::logits;
  } else if (FLAGS_average != "probabilities") {
    throw ConfigError("--average takes probabilities or logits, not '" + FLAGS_average + "'");
  }
  return protocol;
}

// The net's training input: from its Input layer (rank 0), or what its data layer crops.
Shape training_input(const NetFile& file, const Preprocessing& preprocessing) {
  if (data_layer(file, TEST) == nullptr) return {};
  int64_t side = preprocessing.crop_size();
  if (side == 0 && preprocessing.resize_rule() == Preprocessing::EXACT) {
    side = preprocessing.resize_size();
  }
  if (side == 0) {
    throw ConfigError("the net does not say how large its images are; give its deploy.prototxt");
  }
  return {preprocessing.channel_order() == Preprocessing::GRAY ? 1 : 3, side, side};
}

struct Model {
  TestedModel paths;
  NetFile file;
  Preprocessing rule;
  Decoding decoding;
  Scorer scorer;
};

Model open_model(const std::string& net, const std::string& weights_path,
                 const std::shared_ptr<Backend>& backend, const Protocol& protocol) {
  NetFile file = net.empty() ? read_net_in_weights(weights_path) : read_net_file(TEST, net);
  WeightSet weights = read_caffemodel(weights_path);
  const Preprocessing rule = preprocessing_for(file, weights.preprocessing);
  const Decoding decoding = Transformer(rule).decoding();
  Scorer scorer(file.net, file.options, backend, std::move(weights), rule,
                training_input(file, rule), protocol, FLAGS_batch > 0 ? FLAGS_batch : kCrops,
                FLAGS_allow_missing);
  LOG(INFO) << weights_path << ": " << scorer.report().str();
  return {{net, weights_path}, std::move(file), rule, decoding, std::move(scorer)};
}

std::vector<Model> open_models(const std::shared_ptr<Backend>& backend, const Protocol& protocol) {
  std::vector<std::string> nets = split_list(FLAGS_model);
  const std::vector<std::string> weights = split_list(FLAGS_weights);
  if (nets.empty()) nets.resize(weights.size());  // the nets inside the weights
  if (nets.empty() || nets.size() != weights.size()) {
    throw ConfigError("--model names " + std::to_string(nets.size()) + " nets and --weights " +
                      std::to_string(weights.size()) + " files; give one each");
  }
  std::vector<Model> models;
  for (size_t i = 0; i < nets.size(); ++i) {
    models.push_back(open_model(nets[i], weights[i], backend, protocol));
    if (models[i].scorer.classes() != models[0].scorer.classes()) {
      throw ConfigError(nets[i] + " has " + std::to_string(models[i].scorer.classes()) +
                        " classes, " + nets[0] + " " + std::to_string(models[0].scorer.classes()));
    }
  }
  return models;
}

std::vector<TestedModel> tested_models(const std::vector<Model>& models) {
  std::vector<TestedModel> paths;
  paths.reserve(models.size());
  for (const Model& model : models) paths.push_back(model.paths);
  return paths;
}

SourcePtr open_images(const NetFile& file) {
  if (!FLAGS_source.empty()) return open_source(FLAGS_source, TEST);
  const LayerParameter* layer = data_layer(file, TEST);
  if (layer != nullptr) return open_source(*layer, TEST, file.base_dir);
  throw ConfigError("the net names no data set for the phase TEST; give one by --source=PATH");
}

std::vector<Record> read_block(const DataSource& source, int64_t begin, int64_t end,
                               const Decoding& decoding) {
  std::vector<Record> images(static_cast<size_t>(end - begin));
  parallel_for(end - begin, 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; ++i) {
      Record& image = images[static_cast<size_t>(i)];
      image = source.read(begin + i);
      decode(image, decoding, source.name());
    }
  });
  return images;
}

// Scores of images by class, averaged over the models: (images, classes).
std::vector<float> average_scores(std::vector<Model>& models, const std::vector<Record>& images) {
  const auto classes = static_cast<size_t>(models[0].scorer.classes());
  std::vector<double> sums(images.size() * classes);
  for (Model& model : models) {
    const auto scores = model.scorer.scores(images);
    for (size_t i = 0; i < scores.size(); ++i) {
      for (size_t k = 0; k < classes; ++k) sums[i * classes + k] += scores[i][k];
    }
  }
  std::vector<float> averages;
  averages.reserve(sums.size());
  for (const double sum : sums) {
    averages.push_back(static_cast<float>(sum / static_cast<double>(models.size())));
  }
  return averages;
}

// The largest of the images' shorter sides, or `least`.
int64_t shorter_side(const std::vector<Record>& images, int64_t least) {
  for (const Record& image : images) {
    if (image.shape.rank() == 3) least = std::max(least, std::min(image.shape[1], image.shape[2]));
  }
  return least;
}

// What is counted over the images.
struct Counts {
  ScoreMetrics metrics;
  PredictionLog log;
  int64_t side = 0;  // the largest of the images' shorter sides
};

void add_block(const std::vector<Record>& images, const std::vector<float>& scores,
               bool keep_predictions, Counts* counts) {
  std::vector<float> labels;
  labels.reserve(images.size());
  for (const Record& image : images) labels.push_back(static_cast<float>(image.label));
  const size_t classes = scores.size() / images.size();
  counts->metrics.add(scores, labels, static_cast<int64_t>(classes));
  counts->side = shorter_side(images, counts->side);
  if (!keep_predictions) return;
  for (size_t i = 0; i < images.size(); ++i) {
    counts->log.add(images[i].key, images[i].label,
                    std::span(scores).subspan(i * classes, classes));
  }
}

// A database that was made for smaller scales shows nothing new at larger ones.
void warn_of_enlarging(const std::string& source, int64_t side, const Protocol& protocol) {
  const auto largest = std::max_element(protocol.scales.begin(), protocol.scales.end());
  if (largest == protocol.scales.end() || side == 0 || side >= *largest) return;
  LOG(WARNING) << source << ": no image has a shorter side over " << side << " pixels, but scale "
               << *largest << " is asked for; all are enlarged. Convert the original images";
}

}  // namespace

bool wants_views() {
  return !FLAGS_scales.empty() || given("average") || split_list(FLAGS_model).size() > 1 ||
         split_list(FLAGS_weights).size() > 1;
}

ExitCode test_views(ReportFolder* report) {
  const Protocol protocol = read_protocol();
  const std::shared_ptr<Backend> backend = open_backend();
  std::vector<Model> models = open_models(backend, protocol);
  for (const Model& model : models) {
    if (model.decoding.colour != models[0].decoding.colour) {
      throw ConfigError("some nets take colour images and some grey ones; test them one by one");
    }
  }
  const SourcePtr source = open_images(models[0].file);

  const auto start = std::chrono::steady_clock::now();
  Progress progress("images");
  Counts counts{.metrics = {}, .log = PredictionLog(protocol.average)};
  for (int64_t begin = 0; begin < source->size(); begin += kBlock) {
    const int64_t end = std::min(begin + kBlock, source->size());
    const std::vector<Record> images = read_block(*source, begin, end, models[0].decoding);
    add_block(images, average_scores(models, images), report != nullptr, &counts);
    progress.show(end, source->size());
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  warn_of_enlarging(source->name(), counts.side, protocol);
  const TestResult result{.protocol = protocol.str(),
                          .models = static_cast<int64_t>(models.size()),
                          .scores = counts.metrics,
                          .outputs = {},
                          .seconds = elapsed.count(),
                          .parameters = {}};
  if (report != nullptr) {
    write_report(*report, {result, counts.log, *source, class_names(*source, models[0].rule),
                           tested_models(models)});
  }
  print(result, backend->description());
  return ExitCode::ok;
}

}  // namespace resnet::cli
