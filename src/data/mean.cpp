#include "resnet/data/mean.h"

#include <algorithm>
#include <mutex>

#include "resnet/base/parallel.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

constexpr int64_t kGrain = 256;  // records a task takes at least

Record read_decoded(const DataSource& source, int64_t i) {
  Record record = source.read(i);
  decode(record, Colour::as_stored, source.name());
  return record;
}

void add(const Record& record, std::vector<double>& sums) {
  const auto plus = [](double sum, auto value) { return sum + static_cast<double>(value); };
  if (record.floats.empty()) {
    std::transform(sums.begin(), sums.end(), record.bytes.begin(), sums.begin(), plus);
  } else {
    std::transform(sums.begin(), sums.end(), record.floats.begin(), sums.begin(), plus);
  }
}

}  // namespace

ImageMean compute_mean(const DataSource& source) {
  ImageMean mean;
  mean.shape = read_decoded(source, 0).shape;
  const auto values = static_cast<size_t>(mean.shape.count());
  mean.values.assign(values, 0);
  std::mutex mutex;
  parallel_for(source.size(), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(values);
    for (int64_t i = begin; i < end; ++i) {
      const Record record = read_decoded(source, i);
      if (record.shape != mean.shape) {
        throw record_error(source.name(), record.key,
                           "has shape " + record.shape.str() + ", the first one " +
                               mean.shape.str() + "; a mean image needs records of one size");
      }
      add(record, sums);
    }
    const std::lock_guard lock(mutex);
    std::transform(sums.begin(), sums.end(), mean.values.begin(), mean.values.begin(),
                   std::plus<>());
  });
  for (double& value : mean.values) value /= static_cast<double>(source.size());
  return mean;
}

}  // namespace resnet
