// Suggestions for misspelt names: layer types, blobs, fields, flags.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace resnet {

// The candidate that differs from `word` in the fewest letters (inserted, removed, replaced; upper and
// lower case are one), the first of equals; empty when none is near enough to be a likely misspelling.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

// "; did you mean 'x'?" for the nearest candidate, or `otherwise` when none is near.
std::string suggestion(std::string_view word, const std::vector<std::string>& candidates,
                       std::string_view otherwise = "");

}  // namespace resnet
