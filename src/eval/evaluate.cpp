#include "resnet/eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "resnet/base/error.h"

namespace resnet {
namespace {

// Calls `each(session)` after the forward pass of every batch of the set.
EvalResult test_pass(Net& net, Feed& feed, const EvalOptions& options,
                     const std::vector<std::string>& keep,
                     const std::function<void(Session&)>& each) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  EvalResult result;
  MetricAverage average;
  feed.seek(0);
  for (int64_t batch = 0; feed.next_count() > 0; ++batch) {
    if (options.max_batches > 0 && batch == options.max_batches) break;
    if (options.stop && options.stop()) {
      result.complete = false;
      break;
    }
    const int64_t count = feed.next_count();
    Session& session = net.session(TEST, count, {}, keep);  // the last batch may be short
    if (batch == 0) feed.check_labels(net.program(session).graph);
    feed.fill(net, session);
    average.add(net.forward(session));
    each(session);
    result.images += count;
    if (options.progress) options.progress(result.images, feed.records());
  }
  feed.seek(0);
  result.metrics = average.result();
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

bool reads_scores(const LayerParameter& layer) {
  return (layer.type() == "SoftmaxWithLoss" || layer.type() == "Accuracy") &&
         layer.bottom_size() > 0;
}

}  // namespace

void MetricAverage::add(std::span<const Metric> metrics) {
  if (sums_.empty()) {
    sums_.assign(metrics.begin(), metrics.end());
    for (Metric& sum : sums_) sum.value *= sum.weight;
    return;
  }
  if (sums_.size() != metrics.size()) throw InternalError("batches with different metrics");
  for (size_t i = 0; i < metrics.size(); ++i) {
    sums_[i].value += metrics[i].value * metrics[i].weight;
    sums_[i].weight += metrics[i].weight;
  }
}

std::vector<Metric> MetricAverage::result() const {
  std::vector<Metric> result = sums_;
  for (Metric& metric : result) {
    if (metric.weight > 0) metric.value /= metric.weight;
  }
  return result;
}

EvalResult evaluate(Net& net, Feed& feed, const EvalOptions& options) {
  return test_pass(net, feed, options, {}, [](Session&) {});
}

int64_t label_rank(std::span<const float> scores, int64_t label) {
  const auto classes = static_cast<int64_t>(scores.size());
  if (label < 0 || label >= classes) {
    throw DataError("label " + std::to_string(label) + " is outside [0," + std::to_string(classes) +
                    "), the classes of the net");
  }
  const float own = scores[static_cast<size_t>(label)];
  if (std::isnan(own)) return classes;
  int64_t rank = -1;  // without the label itself
  for (const float score : scores) rank += score < own ? 0 : 1;
  return rank;
}

void ScoreMetrics::add(std::span<const float> scores, std::span<const float> labels,
                       int64_t classes) {
  if (scores.size() != labels.size() * static_cast<size_t>(classes)) {
    throw InternalError(std::to_string(scores.size()) + " scores for " +
                        std::to_string(labels.size()) + " images of " + std::to_string(classes) +
                        " classes");
  }
  rank_.resize(static_cast<size_t>(classes) + 1);
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::span<const float> row =
        scores.subspan(i * static_cast<size_t>(classes), static_cast<size_t>(classes));
    ++rank_[static_cast<size_t>(label_rank(row, static_cast<int64_t>(labels[i])))];
    ++images_;
  }
}

Interval wilson_interval(double share, int64_t n) {
  if (n < 1) return {};
  constexpr double z = 1.959963984540054;  // 97.5 % of the standard normal lie below
  const double trials = static_cast<double>(n), spread = z * z / trials;
  const double centre = (share + spread / 2) / (1 + spread);
  const double half =
      z / (1 + spread) * std::sqrt(share * (1 - share) / trials + spread / (4 * trials));
  return {std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double ScoreMetrics::error(int top_k) const {
  if (images_ == 0) return 0;
  int64_t right = 0;
  for (size_t r = 0; r + 1 < rank_.size() && r < static_cast<size_t>(top_k); ++r) right += rank_[r];
  return 1.0 - static_cast<double>(right) / static_cast<double>(images_);
}

ScoreResult evaluate_single_view(Net& net, Feed& feed, const std::string& scores,
                                 const EvalOptions& options, const ScoreObserver& observer) {
  ScoreResult result;
  result.net = test_pass(net, feed, options, {scores}, [&](Session& session) {
    const HostArray values = net.read(session, scores);
    const auto images = static_cast<int64_t>(feed.labels().size());
    if (values.shape.rank() < 2 || values.shape[0] != images || values.shape.count_from(2) != 1) {
      throw ConfigError("the scores '" + scores + "' have shape " + values.shape.str() +
                        "; a single-view test needs (images,classes)");
    }
    result.metrics.add(values.data, feed.labels(), values.shape[1]);
    if (observer) observer(values.data, feed.labels());
  });
  return result;
}

std::string score_blob(const NetParameter& net, const GraphOptions& options) {
  const std::vector<int> layers = layers_in_phase(net, options);
  for (const int i : layers) {
    if (reads_scores(net.layer(i))) return net.layer(i).bottom(0);
  }
  if (layers.empty() || net.layer(layers.back()).top_size() == 0) {
    throw ConfigError(
        "the net has no class scores; add a Softmax, SoftmaxWithLoss or Accuracy layer");
  }
  return net.layer(layers.back()).top(0);
}

bool is_softmax_top(const NetParameter& net, const GraphOptions& options, const std::string& blob) {
  const std::vector<int> layers = layers_in_phase(net, options);
  return std::any_of(layers.begin(), layers.end(), [&](int i) {
    const LayerParameter& layer = net.layer(i);
    return layer.type() == "Softmax" && layer.top_size() > 0 && layer.top(0) == blob;
  });
}

std::optional<std::string> accuracy_output(const NetParameter& net, const GraphOptions& options,
                                           int top_k) {
  for (const int i : layers_in_phase(net, options)) {
    const LayerParameter& layer = net.layer(i);
    if (layer.type() == "Accuracy" && layer.top_size() > 0 &&
        static_cast<int>(layer.accuracy_param().top_k()) == top_k) {
      return layer.top(0);
    }
  }
  return std::nullopt;
}

std::optional<double> error_of(std::span<const Metric> metrics,
                               const std::optional<std::string>& accuracy) {
  for (const Metric& metric : metrics) {
    if (accuracy && metric.name == *accuracy) return 1.0 - metric.value;
  }
  return std::nullopt;
}

}  // namespace resnet
