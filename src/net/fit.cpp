#include "net/fit.h"

#include <algorithm>

namespace resnet {

std::optional<int64_t> largest_fitting(std::span<const int64_t> batches, int64_t limit,
                                       const BytesOf& bytes_of) {
  int64_t scratch = 0;
  while (true) {
    const auto end = std::partition_point(batches.begin(), batches.end(), [&](int64_t batch) {
      const std::optional<int64_t> bytes = bytes_of(batch, false);
      return bytes && *bytes <= limit - scratch;
    });
    if (end == batches.begin()) return std::nullopt;
    const int64_t batch = *(end - 1);
    const std::optional<int64_t> all = bytes_of(batch, true);
    if (all && *all <= limit) return batch;
    // Those below it, beside as much scratch memory as this one takes.
    if (all) scratch = *all - *bytes_of(batch, false);
    batches = batches.first(static_cast<size_t>(end - 1 - batches.begin()));
  }
}

std::vector<int64_t> smaller_batches(int64_t batch, int64_t iter_size, int64_t parts) {
  std::vector<int64_t> batches;
  const int64_t images = batch * iter_size;
  for (int64_t n = parts; n < batch; n += parts) {
    if (images % n == 0) batches.push_back(n);
  }
  return batches;
}

}  // namespace resnet
