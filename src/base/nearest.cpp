#include "resnet/base/nearest.h"

#include <algorithm>
#include <cctype>
#include <cstddef>

namespace resnet {
namespace {

constexpr size_t kMaxLength = 64;  // of a word that is compared: bounds the time on hostile input

std::string lower(std::string_view text) {
  std::string result(text.substr(0, kMaxLength));
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

// Least number of inserted, removed or replaced letters that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);  // distances of a's prefix to every prefix of b
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string key = lower(word);
  size_t limit = std::max<size_t>(2, key.size() / 3);
  const std::string* best = nullptr;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(key, lower(candidate));
    if (distance > limit || distance >= key.size()) continue;
    if (distance == 0) return candidate;
    best = &candidate;
    limit = distance - 1;
  }
  return best == nullptr ? std::string() : *best;
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view otherwise) {
  const std::string name = nearest(word, candidates);
  if (name.empty()) return std::string(otherwise);
  return "; did you mean '" + name + "'?";
}

}  // namespace resnet
