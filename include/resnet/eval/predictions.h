// What a test predicted, image by image, and what follows: confusions, errors by class, calibration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "resnet/eval/scoring_net.h"

namespace resnet {

struct Guess {
  int64_t label = 0;
  double probability = 0;
};

struct Prediction {
  std::string key;  // of the record
  int64_t label = 0;
  int64_t rank = 0;              // of the label, from 1; ties and NaN count against it
  double label_probability = 0;  // NaN counts as 0
  std::vector<Guess> top;        // best first; of equal classes the label comes last

  bool right() const { return rank == 1; }
  const Guess& guess() const { return top.front(); }
};

// Images of one class.
struct ClassCount {
  int64_t images = 0, wrong = 0;
  double error() const;  // share, 0 to 1; 0 without images
};

// How often images of one class were taken for another.
struct Confusion {
  int64_t label = 0, guess = 0, images = 0;
};

// Images whose top probability lies in (low, high].
struct CalibrationBin {
  double low = 0, high = 0;
  int64_t images = 0;
  double confidence = 0;  // mean of their top probabilities
  double accuracy = 0;    // share that is right
};

struct Calibration {
  std::vector<CalibrationBin> bins;
  // Expected calibration error (Naeini et al. 2015): the mean over all images of
  // |accuracy - confidence| of their bin.
  double expected_error = 0;
};

// Grows by some 200 bytes an image, whatever the number of classes.
class PredictionLog {
 public:
  static constexpr size_t kTop = 5;  // guesses kept of an image

  // `kind`: what the scores are; logits become probabilities by a softmax.
  explicit PredictionLog(ScoreKind kind) : kind_(kind) {}

  // The scores of one image, one a class. Throws DataError on a label that is no class.
  void add(std::string key, int64_t label, std::span<const float> scores);

  const std::vector<Prediction>& predictions() const { return predictions_; }
  int64_t images() const { return static_cast<int64_t>(predictions_.size()); }
  int64_t classes() const { return classes_; }

  double error(int top_k) const;  // share of images whose label is not among the top_k
  // Mean of -ln(probability of the label) in nats; probabilities count as kLeastProbability at least.
  double negative_log_likelihood() const;
  Calibration calibration(int bins = 15) const;
  std::vector<ClassCount> class_counts() const;  // by label
  // What was mistaken for what, most frequent first, then by label and guess.
  std::vector<Confusion> confusions() const;
  // Indices of wrong predictions, the most confident first, at most `count`.
  std::vector<size_t> confident_mistakes(size_t count) const;

  static constexpr double kLeastProbability = 1e-38;  // about the least normal float

 private:
  ScoreKind kind_;
  int64_t classes_ = 0;
  std::vector<Prediction> predictions_;
};

// exp(x) / sum of exp, computed in double.
std::vector<double> softmax(std::span<const float> logits);

}  // namespace resnet
