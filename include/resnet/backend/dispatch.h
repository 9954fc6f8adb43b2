// What backends share in answering for an OpDesc, before and after their own rules.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "resnet/ops/op.h"

namespace resnet {

// "" or why the pass does not exist, or takes another number of operands.
std::string refuse_signature(const OpDesc& desc);

// "" or which output shall accumulate and is not among those that can.
std::string refuse_accumulation(const OpDesc& desc, const std::vector<int>& accumulable);

// Drops the pairs (output, input) whose output accumulates: what it holds is read late, so that it must not be
// an input as well.
void drop_accumulating(const OpDesc& desc, std::vector<std::pair<int, int>>& in_place);

// What was found for the OpDescs asked for last: planning asks several times about each op, and nets repeat
// their ops. Threads may share it.
template <class Found>
class RecentAnswers {
 public:
  // What find(desc) gave, now or earlier.
  template <class Find>
  Found get(const OpDesc& desc, const Find& find) {
    const std::string key = desc.str();
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [known, found] : recent_[key]) {
        if (known == desc) return found;
      }
    }
    Found found = find(desc);
    const std::lock_guard lock(mutex_);
    if (recent_.size() > kMost) recent_.clear();
    recent_[key].emplace_back(desc, found);
    return found;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    recent_.clear();
  }

 private:
  static constexpr size_t kMost = 1024;
  std::mutex mutex_;
  std::map<std::string, std::vector<std::pair<OpDesc, Found>>> recent_;
};

}  // namespace resnet
