#include "resnet/data/mean.h"

#include <algorithm>
#include <array>
#include <mutex>

#include "resnet/base/parallel.h"
#include "resnet/data/transform.h"

namespace resnet {
namespace {

constexpr int64_t kGrain = 64;  // records a task takes at least

// Sums over images.
struct Sums {
  explicit Sums(size_t count) : values(count) {}

  void add(const std::vector<float>& image) {
    std::transform(values.begin(), values.end(), image.begin(), values.begin(),
                   [](double sum, float value) { return sum + static_cast<double>(value); });
  }
  // Of the products of every two of three planes.
  void add_products(const std::vector<float>& image) {
    const size_t plane = image.size() / 3;
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = a; b < 3; ++b) {
        double sum = 0;
        for (size_t i = 0; i < plane; ++i) {
          sum += static_cast<double>(image[a * plane + i]) * image[b * plane + i];
        }
        products[a][b] += sum;
      }
    }
  }
  void add(const Sums& other) {
    std::transform(values.begin(), values.end(), other.values.begin(), values.begin(),
                   std::plus<>());
    for (size_t a = 0; a < 3; ++a) {
      for (size_t b = a; b < 3; ++b) products[a][b] += other.products[a][b];
    }
  }

  std::vector<double> values;
  std::array<std::array<double, 3>, 3> products{};  // above the diagonal
};

PrincipalColours colours_of(const Sums& sums, int64_t images) {
  const size_t plane = sums.values.size() / 3;
  const double pixels = static_cast<double>(plane) * static_cast<double>(images);
  std::array<double, 3> mean{};
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < plane; ++i) mean[c] += sums.values[c * plane + i];
    mean[c] /= pixels;
  }
  std::array<std::array<double, 3>, 3> covariance{};
  for (size_t a = 0; a < 3; ++a) {
    for (size_t b = a; b < 3; ++b) {
      const double value = sums.products[a][b] / pixels - mean[a] * mean[b];
      covariance[a][b] = covariance[b][a] = value / (255.0 * 255.0);
    }
  }
  return principal_colours(covariance);
}

Transformer test_view(const MeanOptions& options) {
  TransformationParameter param;
  param.set_crop_size(static_cast<uint32_t>(options.crop));
  param.set_resize_shorter_min(static_cast<uint32_t>(options.resize_shorter));
  param.set_exif_orientation(options.exif_orientation);
  param.set_force_color(options.crop > 0 || options.resize_shorter > 0);
  return Transformer(param, TEST, "");
}

// Throws DataError naming the record that is smaller than the crop.
Shape view_shape(const DataSource& source, const Image& image, const Transformer& transformer) {
  try {
    return transformer.output_shape(image.shape());
  } catch (const ConfigError& error) {
    throw record_error(source.name(), image.record().key,
                       std::string(error.what()) + "; give a larger --resize or a smaller --crop");
  }
}

std::vector<float> read_view(const DataSource& source, int64_t i, const Transformer& transformer,
                             const Shape& wanted) {
  const Record record = source.read(i);
  Image image(record, transformer.decoding(), source.name());
  const Shape shape = view_shape(source, image, transformer);
  if (shape != wanted) {
    throw record_error(source.name(), record.key,
                       "has shape " + shape.str() + ", the first one " + wanted.str() +
                           "; a mean image needs records of one size: give --resize and --crop");
  }
  std::vector<float> values(static_cast<size_t>(shape.count()));
  transformer.apply(image, 0, 0, values.data());
  return values;
}

}  // namespace

ImageMean compute_mean(const DataSource& source, const MeanOptions& options) {
  const Transformer transformer = test_view(options);
  ImageMean mean;
  {
    const Record first = source.read(0);
    mean.shape =
        view_shape(source, Image(first, transformer.decoding(), source.name()), transformer);
  }
  if (options.colours && (mean.shape.rank() != 3 || mean.shape[0] != 3)) {
    throw ConfigError(source.name() +
                      ": principal colours need colour images, not records of shape " +
                      mean.shape.str());
  }
  Sums all(static_cast<size_t>(mean.shape.count()));
  std::mutex mutex;
  int64_t done = 0;
  parallel_for(source.size(), kGrain, [&](int64_t begin, int64_t end) {
    Sums sums(all.values.size());
    for (int64_t i = begin; i < end; ++i) {
      const std::vector<float> image = read_view(source, i, transformer, mean.shape);
      sums.add(image);
      if (options.colours) sums.add_products(image);
      if (!options.progress) continue;
      const std::lock_guard lock(mutex);
      options.progress(++done, source.size());
    }
    const std::lock_guard lock(mutex);
    all.add(sums);
  });
  if (options.colours) mean.colours = colours_of(all, source.size());
  for (double& value : all.values) value /= static_cast<double>(source.size());
  mean.values = std::move(all.values);
  return mean;
}

}  // namespace resnet
