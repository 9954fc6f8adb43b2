#include "net/fit.h"

#include <algorithm>

namespace resnet {

std::optional<int64_t> largest_fitting(std::span<const int64_t> batches, int64_t limit,
                                       const BytesOf& bytes_of) {
  std::optional<int64_t> best;
  int64_t least = 0;  // scratch memory of `best`: larger batches need as much or more
  // How many of `batches` fit beside so much scratch memory, without compiling.
  const auto fitting = [&](int64_t scratch) {
    return std::partition_point(batches.begin(), batches.end(),
                                [&](int64_t batch) {
                                  const std::optional<int64_t> bytes = bytes_of(batch, false);
                                  return bytes && *bytes <= limit - scratch;
                                }) -
           batches.begin();
  };
  int64_t scratch = 0;  // of the batch that was tried last
  // Whether batches[at] fits; only those above or below it remain.
  const auto fits = [&](int64_t at) {
    const auto index = static_cast<size_t>(at);
    const int64_t batch = batches[index];
    const std::optional<int64_t> all = bytes_of(batch, true);
    scratch = all ? *all - *bytes_of(batch, false) : least;
    if (!all || *all > limit) {
      batches = batches.first(index);
      return false;
    }
    best = batch;
    least = scratch;
    batches = batches.subspan(index + 1);
    return true;
  };
  while (const int64_t hopeful = fitting(least)) {
    if (fits(hopeful - 1)) break;
    if (batches.empty()) break;
    const int64_t sure = fitting(scratch);  // those below need no more than this one
    const int64_t middle = static_cast<int64_t>(batches.size()) / 2;
    fits(sure > 0 ? sure - 1 : best ? middle : 0);
    if (!best) break;
  }
  return best;
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
