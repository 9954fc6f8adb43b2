// The procedural set: reproducible, and not to be learnt from colour, brightness, position or
// pixels alone.
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "data/data_test_util.h"
#include "data/digest.h"
#include "data/shape_outlines.h"
#include "resnet/base/parallel.h"
#include "resnet/base/random.h"
#include "resnet/data/shapes.h"

namespace resnet::testing {
namespace {

std::vector<Record> read_all(const DataSource& source) {
  std::vector<Record> records(static_cast<size_t>(source.size()));
  parallel_for(source.size(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) records[static_cast<size_t>(i)] = source.read(i);
  });
  return records;
}

TEST(Shapes, AreTheSameEverywhere) {
  Digest digest;
  for (const Phase part : {TRAIN, TEST}) {
    for (const Record& record : read_all(*open_shapes(1, part, 500))) {
      digest.add(cifar_record(record));
    }
  }
  EXPECT_EQ(digest.value(), 0x9D0C973CD332182Cu);
}

TEST(Shapes, SeedAndPartChangeTheImages) {
  const std::vector<uint8_t> image = open_shapes(1, TRAIN, 10)->read(3).bytes;
  EXPECT_EQ(image, open_shapes(1, TRAIN, 1000)->read(3).bytes);
  EXPECT_NE(image, open_shapes(1, TEST, 10)->read(3).bytes);
  EXPECT_NE(image, open_shapes(2, TRAIN, 10)->read(3).bytes);
  EXPECT_NE(image, open_shapes(1, TRAIN, 20)->read(13).bytes);
}

TEST(Shapes, KindsHaveEqualAreasAndCentresAndStayWithinReach) {
  for (const Outline& outline : kOutlines) {
    int64_t inside = 0, sum_x = 0, sum_y = 0;
    for (int y = -1022; y < 1024; y += 4) {
      for (int x = -1022; x < 1024; x += 4) {
        if (!outline.inside({x, y})) continue;
        ++inside;
        sum_x += x;
        sum_y += y;
        ASSERT_LE(x * x + y * y, kOutlineReach * kOutlineReach) << outline.name;
      }
    }
    EXPECT_NEAR(static_cast<double>(inside) * 16 / (1024.0 * 1024.0), 1.0, 0.01) << outline.name;
    EXPECT_NEAR(static_cast<double>(sum_x) / static_cast<double>(inside), 0, 8) << outline.name;
    EXPECT_NEAR(static_cast<double>(sum_y) / static_cast<double>(inside), 0, 8) << outline.name;
  }
}

// The mean of each colour, and of the quarters of the image: no kind differs from the others by
// more than chance allows.
TEST(Shapes, ColourBrightnessAndPositionTellNothing) {
  constexpr size_t features = 3 + 4;
  constexpr int64_t images = 6000;
  const std::vector<Record> records = read_all(*open_shapes(1, TRAIN, images));
  std::vector<std::array<double, features>> values;
  for (const Record& record : records) {
    std::array<double, features>& f = values.emplace_back();
    for (size_t i = 0; i < 3072; ++i) {
      f[i / 1024] += record.bytes[i];
      f[3 + i % 1024 / 512 * 2 + i % 32 / 16] += record.bytes[i];
    }
  }
  for (size_t k = 0; k < features; ++k) {
    double sum = 0, squares = 0;
    std::array<double, kShapeKinds> of_kind{};
    for (size_t i = 0; i < values.size(); ++i) {
      sum += values[i][k];
      squares += values[i][k] * values[i][k];
      of_kind[i % kShapeKinds] += values[i][k];
    }
    constexpr double each = static_cast<double>(images) / kShapeKinds;
    const double mean = sum / images, variance = squares / images - mean * mean;
    double chi_square = 0;  // 9 degrees of freedom: above 30 once in 2,300 trials
    for (const double total : of_kind) {
      chi_square += (total / each - mean) * (total / each - mean) / (variance / each);
    }
    EXPECT_LT(chi_square, 30) << "feature " << k;
  }
}

struct Pixels {
  explicit Pixels(const std::vector<Record>& records) {
    for (const Record& record : records) {
      values.insert(values.end(), record.bytes.begin(), record.bytes.end());
      labels.push_back(record.label);
    }
  }
  const int16_t* image(int64_t i) const { return values.data() + i * 3072; }
  int64_t count() const { return static_cast<int64_t>(labels.size()); }

  std::vector<int16_t> values;
  std::vector<int64_t> labels;
};

double nearest_neighbour_accuracy(const Pixels& train, const Pixels& test) {
  std::vector<int> right(test.labels.size());
  parallel_for(test.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t best = -1, label = -1;
      for (int64_t k = 0; k < train.count(); ++k) {
        const int16_t *a = test.image(i), *b = train.image(k);
        int32_t distance = 0;
        for (int j = 0; j < 3072; ++j) distance += (a[j] - b[j]) * (a[j] - b[j]);
        if (best < 0 || distance < best)
          best = distance, label = train.labels[static_cast<size_t>(k)];
      }
      right[static_cast<size_t>(i)] = label == test.labels[static_cast<size_t>(i)];
    }
  });
  return std::accumulate(right.begin(), right.end(), 0.0) / static_cast<double>(right.size());
}

// Softmax regression on pixels by SGD with momentum.
class LinearClassifier {
 public:
  void train(const Pixels& set, int epochs) {
    std::vector<float> momentum(weights_.size());
    uint64_t step = 0;
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (int64_t batch = 0; batch < set.count() / kBatch; ++batch) {
        std::vector<float> gradient(weights_.size());
        Random random(3, step++, Use::test);
        for (int k = 0; k < kBatch; ++k) {
          const auto i = random.below(static_cast<uint32_t>(set.count()));
          std::array<float, 10> p = probabilities(set.image(i));
          p[static_cast<size_t>(set.labels[i])] -= 1;
          const std::vector<float> x = input(set.image(i));
          for (size_t c = 0; c < 10; ++c) {
            for (size_t j = 0; j < kInputs; ++j) gradient[c * kInputs + j] += p[c] * x[j] / kBatch;
          }
        }
        for (size_t j = 0; j < weights_.size(); ++j) {
          momentum[j] = 0.9f * momentum[j] + gradient[j] + 1e-3f * weights_[j];
          weights_[j] -= 1e-3f * momentum[j];
        }
      }
    }
  }

  double accuracy(const Pixels& set) const {
    int right = 0;
    for (int64_t i = 0; i < set.count(); ++i) {
      const std::array<float, 10> p = probabilities(set.image(i));
      right +=
          std::max_element(p.begin(), p.end()) - p.begin() == set.labels[static_cast<size_t>(i)];
    }
    return static_cast<double>(right) / static_cast<double>(set.count());
  }

 private:
  static constexpr int kBatch = 64;
  static constexpr size_t kInputs = 3073;  // pixels and a constant

  static std::vector<float> input(const int16_t* image) {
    std::vector<float> x(kInputs, 1.0f);
    for (size_t j = 0; j < 3072; ++j) x[j] = static_cast<float>(image[j] - 128) / 64;
    return x;
  }

  std::array<float, 10> probabilities(const int16_t* image) const {
    const std::vector<float> x = input(image);
    std::array<float, 10> p{};
    for (size_t c = 0; c < 10; ++c) {
      for (size_t j = 0; j < kInputs; ++j) p[c] += weights_[c * kInputs + j] * x[j];
    }
    const float largest = *std::max_element(p.begin(), p.end());
    for (float& value : p) value = std::exp(value - largest);
    const float sum = std::accumulate(p.begin(), p.end(), 0.0f);
    for (float& value : p) value /= sum;
    return p;
  }

  std::vector<float> weights_ = std::vector<float>(10 * kInputs);
};

// The whole set (20,000 and 4,000 images) where RESNET_SLOW_TESTS is set, else a part of it.
TEST(Shapes, PixelsAloneTellLittle) {
  const bool whole = std::getenv("RESNET_SLOW_TESTS") != nullptr;
  const Pixels train(read_all(*open_shapes(1, TRAIN, whole ? 20000 : 3000)));
  const Pixels test(read_all(*open_shapes(1, TEST, whole ? 4000 : 300)));
  const double nearest = nearest_neighbour_accuracy(train, test);
  LinearClassifier classifier;
  classifier.train(train, whole ? 10 : 2);
  const double linear = classifier.accuracy(test);
  std::printf("accuracy: nearest neighbour %.1f %%, linear %.1f %%\n", 100 * nearest, 100 * linear);
  EXPECT_LE(nearest, whole ? 0.50 : 0.40);
  EXPECT_LE(linear, whole ? 0.40 : 0.30);
}

}  // namespace
}  // namespace resnet::testing
