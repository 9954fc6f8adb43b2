// Tests: metrics over a set of images, each counted once whatever the batch size.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "resnet/eval/feed.h"
#include "resnet/net/net.h"

namespace resnet {

// Average of each metric over batches, weighed by Metric::weight. Batches must have the same
// metrics.
class MetricAverage {
 public:
  void add(std::span<const Metric> metrics);
  // In the order of the net's outputs; weight is the sum.
  std::vector<Metric> result() const;

 private:
  std::vector<Metric> sums_;  // value: sum of weight * value
};

struct EvalOptions {
  int64_t max_batches = 0;     // 0: the whole set
  std::function<bool()> stop;  // asked before each batch; true ends the pass early
  std::function<void(int64_t images, int64_t total)> progress;  // after each batch
};

struct EvalResult {
  std::vector<Metric> metrics;  // the net's own outputs in the phase TEST
  int64_t images = 0;
  double seconds = 0;
  bool complete = true;  // false: stopped early
};

// Runs the net's TEST program over the feed from its first record and averages its losses and
// metrics.
EvalResult evaluate(Net& net, Feed& feed, const EvalOptions& options = {});

// Classes that are scored at or above the label: 0 means right. Ties count against the label, as in
// Caffe, and so does NaN: a label scored NaN has all `classes` above it. Throws DataError on a label
// that is no class.
int64_t label_rank(std::span<const float> scores, int64_t label);

// Errors of class scores, counted image by image.
class ScoreMetrics {
 public:
  // scores (n, classes) as probabilities or logits; labels (n). Throws DataError as label_rank().
  void add(std::span<const float> scores, std::span<const float> labels, int64_t classes);
  int64_t images() const { return images_; }
  int64_t classes() const { return rank_.empty() ? 0 : static_cast<int64_t>(rank_.size()) - 1; }
  double error(int top_k) const;  // share of images, 0 to 1, whose label is not among the top_k

 private:
  std::vector<int64_t> rank_;  // rank_[r]: images with r classes scored at or above the label's
  int64_t images_ = 0;
};

// Wilson's interval of 95 % for a share that was counted on n trials.
struct Interval {
  double low = 0, high = 1;
};
Interval wilson_interval(double share, int64_t n);

// A way to get class scores of whole test images from a net. Other protocols (10 crops, dense)
// average over several views of each image.
struct ScoreResult {
  ScoreMetrics metrics;
  EvalResult net;  // the net's own losses and metrics, where it has any
};

// Called after each batch: scores (n, classes), labels (n).
using ScoreObserver =
    std::function<void(std::span<const float> scores, std::span<const float> labels)>;

// Single view: scores are the blob `scores` of shape (N, classes, 1..).
ScoreResult evaluate_single_view(Net& net, Feed& feed, const std::string& scores,
                                 const EvalOptions& options = {},
                                 const ScoreObserver& observer = {});

// The blob with the class scores in the phase TEST: what SoftmaxWithLoss or Accuracy reads, or else
// the top of the last layer. Throws ConfigError when there is none.
std::string score_blob(const NetParameter& net, const GraphOptions& options);
// Whether a blob holds probabilities: a Softmax layer of the phase writes it.
bool is_softmax_top(const NetParameter& net, const GraphOptions& options, const std::string& blob);

// Name of the first Accuracy output with this top_k in a phase, if the net has one.
std::optional<std::string> accuracy_output(const NetParameter& net, const GraphOptions& options,
                                           int top_k);
// 1 - that output's value.
std::optional<double> error_of(std::span<const Metric> metrics,
                               const std::optional<std::string>& accuracy);

}  // namespace resnet
