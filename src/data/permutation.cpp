#include "data/permutation.h"

#include <numeric>
#include <utility>

#include "resnet/base/random.h"

namespace resnet {

std::vector<uint32_t> permutation(uint64_t seed, int64_t epoch, int64_t size) {
  std::vector<uint32_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed, static_cast<uint64_t>(epoch), Use::shuffle);
  for (size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<uint32_t>(i))]);
  }
  return order;
}

std::vector<int64_t> StreamOrder::records(int64_t begin, int64_t count) const {
  std::vector<int64_t> out;
  out.reserve(static_cast<size_t>(count));
  Order current;
  for (int64_t position = begin; position < begin + count; ++position) {
    const int64_t at = position % size_;
    if (!shuffle_) {
      out.push_back(at);
      continue;
    }
    if (!current || at == 0) current = order(position / size_);
    out.push_back((*current)[static_cast<size_t>(at)]);
  }
  return out;
}

StreamOrder::Order StreamOrder::order(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, order] : kept_) {
    if (number == epoch) return order;
  }
  if (kept_.size() == kKept) kept_.erase(kept_.begin());
  kept_.emplace_back(epoch,
                     std::make_shared<std::vector<uint32_t>>(permutation(seed_, epoch, size_)));
  return kept_.back().second;
}

}  // namespace resnet
