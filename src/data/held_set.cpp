#include "resnet/data/held_set.h"

#include <algorithm>
#include <limits>

#include "resnet/base/parallel.h"
#include "resnet/data/loader.h"

namespace resnet {

std::optional<HeldSet> hold(const Loader& loader, int64_t most_bytes) {
  const DataSource& source = loader.source();
  const int64_t count = source.size();
  if (loader.options().skip_bad > 0 || count > std::numeric_limits<int32_t>::max()) {
    return std::nullopt;
  }
  const Record first = source.read(0);
  const Shape shape = first.shape;
  if (first.encoded || first.bytes.empty() || shape.rank() != 3 ||
      shape.count() > most_bytes / count) {
    return std::nullopt;
  }
  const std::optional<CropRule> rule = loader.transformer().crop_rule(shape);
  if (!rule) return std::nullopt;

  HeldSet set{.images = {count, shape[0], shape[1], shape[2]},
              .pixels = std::vector<uint8_t>(static_cast<size_t>(count * shape.count())),
              .labels = std::vector<float>(static_cast<size_t>(count)),
              .rule = *rule};
  std::vector<char> fits(static_cast<size_t>(count), 0);
  parallel_for(count, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Record record = source.read(i);
      if (record.encoded || record.shape != shape || record.bytes.empty()) continue;
      std::copy(record.bytes.begin(), record.bytes.end(), set.pixels.begin() + i * shape.count());
      set.labels[static_cast<size_t>(i)] = static_cast<float>(record.label);
      fits[static_cast<size_t>(i)] = 1;
    }
  });
  if (std::find(fits.begin(), fits.end(), 0) != fits.end()) return std::nullopt;
  return set;
}

std::vector<int32_t> order_of_epoch(const Loader& loader, int64_t epoch) {
  const int64_t count = loader.size();
  const std::vector<int64_t> records = loader.record_indices(epoch * count, count);
  return {records.begin(), records.end()};
}

}  // namespace resnet
