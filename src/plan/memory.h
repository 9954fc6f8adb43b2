// Offline memory planning: places intervals of known size and lifetime in one arena.
#pragma once

#include <cstdint>
#include <vector>

namespace resnet::memory_plan {

// Lives from step `begin` to step `end`, both included.
struct Interval {
  int begin = 0, end = 0;
  int64_t bytes = 0;
  int64_t offset = 0;  // result
};

constexpr int64_t kAlignment = 64;

// Sets the offsets so that intervals that overlap in time do not overlap in memory; returns the bytes
// used. Tries several placing orders and keeps the smallest.
int64_t place(std::vector<Interval>& intervals);

// Every interval beside the others: no reuse.
int64_t place_apart(std::vector<Interval>& intervals);

// Sets the offsets of `brief`, each alive in one step only (begin == end, ascending), so that they meet nothing
// of `placed` that lives then: inside [0, bytes) where there is room, else from `bytes` on. Returns how much
// they need behind `bytes`.
int64_t place_between(const std::vector<Interval>& placed, int64_t bytes,
                      std::vector<Interval>& brief);

// The largest sum of bytes alive at one step: no plan can be smaller.
int64_t peak_live_bytes(const std::vector<Interval>& intervals);

}  // namespace resnet::memory_plan
