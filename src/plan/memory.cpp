#include "plan/memory.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace resnet::memory_plan {
namespace {

int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

bool overlap(const Interval& a, const Interval& b) { return a.begin <= b.end && b.begin <= a.end; }

// Places the intervals one by one in the given order, each at the lowest offset of the smallest gap that
// holds it among those placed before that live at the same time.
int64_t place_in_order(std::vector<Interval>& intervals, const std::vector<int>& order) {
  std::vector<int> placed;  // by offset
  placed.reserve(intervals.size());
  int64_t total = 0;
  for (const int index : order) {
    Interval& interval = intervals[static_cast<size_t>(index)];
    const int64_t bytes = aligned(interval.bytes);
    int64_t end_of_last = 0;
    int64_t best = -1;
    int64_t best_gap = 0;
    for (const int other_index : placed) {
      const Interval& other = intervals[static_cast<size_t>(other_index)];
      if (!overlap(interval, other)) continue;
      const int64_t gap = other.offset - end_of_last;
      if (gap >= bytes && (best < 0 || gap < best_gap)) {
        best = end_of_last;
        best_gap = gap;
      }
      end_of_last = std::max(end_of_last, other.offset + aligned(other.bytes));
    }
    interval.offset = best >= 0 ? best : end_of_last;
    total = std::max(total, interval.offset + bytes);
    const auto at = std::upper_bound(
        placed.begin(), placed.end(), interval.offset,
        [&](int64_t o, int i) { return o < intervals[static_cast<size_t>(i)].offset; });
    placed.insert(at, index);
  }
  return total;
}

}  // namespace

int64_t place(std::vector<Interval>& intervals) {
  std::vector<int> order(intervals.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](int i) -> const Interval& { return intervals[static_cast<size_t>(i)]; };
  const auto length = [](const Interval& i) { return int64_t{i.end} - i.begin + 1; };
  const auto by_size = [&](int a, int b) {
    return at(a).bytes != at(b).bytes ? at(a).bytes > at(b).bytes : length(at(a)) > length(at(b));
  };
  const auto by_length = [&](int a, int b) {
    return length(at(a)) != length(at(b)) ? length(at(a)) > length(at(b))
                                          : at(a).bytes > at(b).bytes;
  };
  const auto by_area = [&](int a, int b) {
    return static_cast<double>(length(at(a))) * static_cast<double>(at(a).bytes) >
           static_cast<double>(length(at(b))) * static_cast<double>(at(b).bytes);
  };
  const auto by_start = [&](int a, int b) {
    return at(a).begin != at(b).begin ? at(a).begin < at(b).begin : at(a).bytes > at(b).bytes;
  };

  const int64_t bound = peak_live_bytes(intervals);
  std::vector<Interval> best;
  int64_t best_bytes = 0;
  const auto attempt = [&](const auto& less) {
    if (!best.empty() && best_bytes <= bound) return;
    std::stable_sort(order.begin(), order.end(), less);
    std::vector<Interval> trial = intervals;
    const int64_t bytes = place_in_order(trial, order);
    if (best.empty() || bytes < best_bytes) {
      best = std::move(trial);
      best_bytes = bytes;
    }
  };
  attempt(by_length);
  attempt(by_size);
  attempt(by_area);
  attempt(by_start);
  if (!best.empty()) intervals = std::move(best);
  return best_bytes;
}

int64_t place_apart(std::vector<Interval>& intervals) {
  int64_t total = 0;
  for (Interval& interval : intervals) {
    interval.offset = total;
    total += aligned(interval.bytes);
  }
  return total;
}

int64_t place_between(const std::vector<Interval>& placed, int64_t bytes,
                      std::vector<Interval>& brief) {
  std::vector<int> by_begin(placed.size()), by_end;
  std::iota(by_begin.begin(), by_begin.end(), 0);
  by_end = by_begin;
  const auto at = [&](int i) -> const Interval& { return placed[static_cast<size_t>(i)]; };
  std::ranges::sort(by_begin, {}, [&](int i) { return at(i).begin; });
  std::ranges::sort(by_end, {}, [&](int i) { return at(i).end; });
  auto arriving = by_begin.begin(), leaving = by_end.begin();
  std::set<std::pair<int64_t, int>> alive;  // by offset
  int64_t behind = 0;
  for (Interval& interval : brief) {
    for (; arriving != by_begin.end() && at(*arriving).begin <= interval.begin; ++arriving) {
      alive.emplace(at(*arriving).offset, *arriving);
    }
    for (; leaving != by_end.end() && at(*leaving).end < interval.begin; ++leaving) {
      alive.erase({at(*leaving).offset, *leaving});
    }
    interval.offset = bytes;
    if (aligned(interval.bytes) <= behind) continue;  // there is room anyway
    int64_t end_of_last = 0;
    for (const auto& [offset, index] : alive) {
      if (offset - end_of_last >= aligned(interval.bytes)) break;
      end_of_last = std::max(end_of_last, offset + aligned(at(index).bytes));
    }
    if (end_of_last + aligned(interval.bytes) <= bytes) {
      interval.offset = end_of_last;
    } else {
      behind = aligned(interval.bytes);
    }
  }
  return behind;
}

int64_t peak_live_bytes(const std::vector<Interval>& intervals) {
  std::map<int, int64_t> change;
  for (const Interval& interval : intervals) {
    change[interval.begin] += aligned(interval.bytes);
    change[interval.end + 1] -= aligned(interval.bytes);
  }
  int64_t live = 0;
  int64_t peak = 0;
  for (const auto& [step, bytes] : change) {
    live += bytes;
    peak = std::max(peak, live);
  }
  return peak;
}

}  // namespace resnet::memory_plan
