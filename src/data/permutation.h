// The order of records in the endless training stream.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace resnet {

// The order of epoch `epoch` of `size` records: Fisher-Yates from the last element down, with draws
// of Random(seed, epoch, Use::shuffle).
std::vector<uint32_t> permutation(uint64_t seed, int64_t epoch, int64_t size);

// Maps stream positions to records; keeps the orders of the last few epochs. Thread-safe.
class StreamOrder {
 public:
  StreamOrder(uint64_t seed, int64_t size, bool shuffle)
      : seed_(seed), size_(size), shuffle_(shuffle) {}

  // The records at positions [begin, begin + count).
  std::vector<int64_t> records(int64_t begin, int64_t count) const;

 private:
  using Order = std::shared_ptr<const std::vector<uint32_t>>;
  Order order(int64_t epoch) const;

  static constexpr size_t kKept = 2;
  uint64_t seed_;
  int64_t size_;
  bool shuffle_;
  mutable std::mutex mutex_;
  mutable std::vector<std::pair<int64_t, Order>> kept_;  // oldest first
};

}  // namespace resnet
