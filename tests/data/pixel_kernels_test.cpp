// The inner loops of the image pipeline against plain ones: not a bit may differ, at any width.
#include <cstring>

#include "data/data_test_util.h"
#include "data/feed_row.h"
#include "data/resample_kernels.h"
#include "resnet/base/random.h"

namespace resnet::testing {
namespace {

template <class T>
std::vector<T> random_values(size_t count, uint32_t below, uint64_t seed) {
  Random random(seed, 0, Use::test);
  std::vector<T> values(count);
  for (T& value : values) value = static_cast<T>(random.below(below));
  return values;
}

TEST(PixelKernels, FeedRowIsThePlainLoop) {
  const auto bytes = random_values<uint8_t>(4 * 70, 256, 1);
  const auto means = random_values<float>(70, 256, 2);
  for (const bool mirrored : {false, true}) {
    for (const bool with_means : {false, true}) {
      for (int64_t width = 1; width < 70; ++width) {
        const FeedRow row{width, 101.3F, with_means ? means.data() : nullptr,
                          7.7F,  0.017F, mirrored};
        std::vector<uint32_t> words(70);
        std::memcpy(words.data(), bytes.data(), bytes.size());
        const std::vector<float> floats(bytes.begin(), bytes.end());
        const auto check = [&](const std::vector<float>& out, int64_t stride, int64_t first) {
          for (int64_t x = 0; x < width; ++x) {
            const int64_t from = mirrored ? width - 1 - x : x;
            const float level = floats[static_cast<size_t>(first + stride * from)];
            const float mean = with_means ? means[static_cast<size_t>(from)] - row.shift : row.mean;
            ASSERT_EQ(out[static_cast<size_t>(x)], (level - mean) * row.scale) << width;
          }
          ASSERT_EQ(out[static_cast<size_t>(width)], -1) << "beyond the row";
        };
        std::vector<float> out(71, -1);
        feed_row(bytes.data(), row, out.data());
        check(out, 1, 0);
        feed_row(floats.data(), row, out.data());
        check(out, 1, 0);
        for (const int byte : {0, 1, 2}) {
          feed_row(words.data(), byte, row, out.data());
          check(out, 4, byte);
        }
      }
    }
  }
}

// The sum of products in 16 bits, starting with what they lose on average.
template <class At>
int fixed_sum(const Fixed* weights, int64_t taps, int64_t step, const At& at) {
  int sum = static_cast<int>((taps + 1) / 2);
  for (int64_t k = 0; k < taps; ++k) {
    sum += static_cast<int>(static_cast<uint32_t>(at(k)) * weights[step * k] >> 16);
  }
  return sum;
}

TEST(PixelKernels, AddRowsIsThePlainLoop) {
  const auto bytes = random_values<uint8_t>(4 * 150, 256, 3);
  const uint8_t* rows[] = {&bytes[0], &bytes[150], &bytes[300], &bytes[450]};
  for (int64_t taps = 1; taps <= kMostFixedTaps; ++taps) {
    const auto weights = random_values<Fixed>(4, static_cast<uint32_t>(65536 / taps), 4);
    for (int64_t count = 1; count < 150; ++count) {
      std::vector<Fixed> sum(150, 9);
      add_rows(rows, weights.data(), taps, count, sum.data());
      for (int64_t i = 0; i < count; ++i) {
        ASSERT_EQ(sum[static_cast<size_t>(i)],
                  fixed_sum(weights.data(), taps, 1, [&](int64_t k) { return rows[k][i] << 8; }));
      }
      ASSERT_EQ(sum[static_cast<size_t>(count)], 9) << "beyond the row";
    }
  }
}

TEST(PixelKernels, AddPixelsIsThePlainLoop) {
  constexpr int64_t kWidth = 12;
  const auto pixels = random_values<Fixed>(4 * (kWidth + 4), 255 * 256, 5);
  const auto first = random_values<int64_t>(kWidth, kWidth, 6);
  for (const int64_t taps : {2, 4}) {
    auto weights = random_values<Fixed>(static_cast<size_t>(4 * taps * kWidth),
                                        static_cast<uint32_t>(65536 / taps), 7);
    std::vector<uint32_t> out(kWidth);
    add_pixels(pixels.data(), first.data(), weights.data(), taps, kWidth, out.data());
    const auto* levels = reinterpret_cast<const uint8_t*>(out.data());
    for (int64_t i = 0; i < 4 * kWidth; ++i) {
      const int64_t output = i / 4, byte = i % 4;
      const int sum = fixed_sum(&weights[static_cast<size_t>(4 * taps * output + byte)], taps, 4,
                                [&](int64_t k) {
                                  const int64_t pixel = first[static_cast<size_t>(output)] + k;
                                  return pixels[static_cast<size_t>(4 * pixel + byte)];
                                });
      ASSERT_EQ(levels[i], (sum + 128) >> 8);
    }
  }
}

}  // namespace
}  // namespace resnet::testing
