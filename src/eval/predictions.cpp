#include "resnet/eval/predictions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>

#include "resnet/base/error.h"
#include "resnet/eval/evaluate.h"

namespace resnet {
namespace {

// The classes in the order that label_rank() counts: the label behind its equals, NaN before it.
std::vector<int64_t> best_classes(std::span<const float> scores, int64_t label, size_t count) {
  std::vector<int64_t> classes(scores.size());
  std::iota(classes.begin(), classes.end(), 0);
  const auto value = [&](int64_t k) {
    const float score = scores[static_cast<size_t>(k)];
    constexpr float infinity = std::numeric_limits<float>::infinity();
    if (std::isnan(score)) return k == label ? -infinity : infinity;
    return score;
  };
  const auto end = classes.begin() + static_cast<std::ptrdiff_t>(std::min(count, classes.size()));
  std::partial_sort(classes.begin(), end, classes.end(), [&](int64_t a, int64_t b) {
    if (value(a) != value(b)) return value(a) > value(b);
    if ((a == label) != (b == label)) return b == label;
    return a < b;
  });
  classes.erase(end, classes.end());
  return classes;
}

}  // namespace

double ClassCount::error() const {
  return images == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(images);
}

void PredictionLog::add(std::string key, int64_t label, std::span<const float> scores) {
  const int64_t above = label_rank(scores, label);
  classes_ = static_cast<int64_t>(scores.size());
  const std::vector<double> probabilities = kind_ == ScoreKind::logits
                                                ? softmax(scores)
                                                : std::vector<double>(scores.begin(), scores.end());
  Prediction prediction;
  prediction.key = std::move(key);
  prediction.label = label;
  prediction.rank = std::min(above + 1, classes_);
  const double own = probabilities[static_cast<size_t>(label)];
  prediction.label_probability = std::isnan(own) ? 0 : own;
  for (const int64_t k : best_classes(scores, label, kTop)) {
    prediction.top.push_back({k, probabilities[static_cast<size_t>(k)]});
  }
  predictions_.push_back(std::move(prediction));
}

double PredictionLog::error(int top_k) const {
  if (predictions_.empty()) return 0;
  const auto wrong = std::count_if(predictions_.begin(), predictions_.end(),
                                   [&](const Prediction& p) { return p.rank > top_k; });
  return static_cast<double>(wrong) / static_cast<double>(images());
}

double PredictionLog::negative_log_likelihood() const {
  if (predictions_.empty()) return 0;
  double sum = 0;
  for (const Prediction& p : predictions_) {
    sum -= std::log(std::max(p.label_probability, kLeastProbability));
  }
  return sum / static_cast<double>(images());
}

Calibration PredictionLog::calibration(int bins) const {
  Calibration result;
  for (int b = 0; b < bins; ++b) {
    result.bins.push_back({static_cast<double>(b) / bins, static_cast<double>(b + 1) / bins});
  }
  for (const Prediction& p : predictions_) {
    const double confidence = std::isnan(p.guess().probability) ? 0 : p.guess().probability;
    const int b = std::clamp(static_cast<int>(std::ceil(confidence * bins)) - 1, 0, bins - 1);
    CalibrationBin& bin = result.bins[static_cast<size_t>(b)];
    ++bin.images;
    bin.confidence += confidence;
    bin.accuracy += p.right() ? 1 : 0;
  }
  for (CalibrationBin& bin : result.bins) {
    if (bin.images == 0) continue;
    const auto count = static_cast<double>(bin.images);
    result.expected_error +=
        std::abs(bin.accuracy - bin.confidence) / static_cast<double>(images());
    bin.confidence /= count;
    bin.accuracy /= count;
  }
  return result;
}

std::vector<ClassCount> PredictionLog::class_counts() const {
  std::vector<ClassCount> counts(static_cast<size_t>(classes_));
  for (const Prediction& p : predictions_) {
    ClassCount& count = counts[static_cast<size_t>(p.label)];
    ++count.images;
    count.wrong += p.right() ? 0 : 1;
  }
  return counts;
}

std::vector<Confusion> PredictionLog::confusions() const {
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;
  for (const Prediction& p : predictions_) {
    if (!p.right()) ++counts[{p.label, p.guess().label}];
  }
  std::vector<Confusion> result;
  result.reserve(counts.size());
  for (const auto& [pair, images] : counts) result.push_back({pair.first, pair.second, images});
  std::stable_sort(result.begin(), result.end(),
                   [](const Confusion& a, const Confusion& b) { return a.images > b.images; });
  return result;
}

std::vector<size_t> PredictionLog::confident_mistakes(size_t count) const {
  std::vector<size_t> wrong;
  for (size_t i = 0; i < predictions_.size(); ++i) {
    if (!predictions_[i].right() && !std::isnan(predictions_[i].guess().probability)) {
      wrong.push_back(i);
    }
  }
  std::stable_sort(wrong.begin(), wrong.end(), [&](size_t a, size_t b) {
    return predictions_[a].guess().probability > predictions_[b].guess().probability;
  });
  wrong.resize(std::min(count, wrong.size()));
  return wrong;
}

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> result(logits.begin(), logits.end());
  const double largest = *std::max_element(result.begin(), result.end());
  for (double& value : result) value = std::exp(value - largest);
  const double sum = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& value : result) value /= sum;
  return result;
}

}  // namespace resnet
