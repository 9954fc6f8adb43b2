// Which batches fit into memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace resnet {

// What a batch needs, without the scratch memory of kernels or, which takes compiling them, with it.
// nullopt: it cannot be planned.
using BytesOf = std::function<std::optional<int64_t>(int64_t batch, bool scratch)>;

// The largest of `batches` (ascending) that needs at most `limit` bytes with scratch memory, if there is one. Takes
// it that neither memory nor scratch memory is smaller for a larger batch.
std::optional<int64_t> largest_fitting(std::span<const int64_t> batches, int64_t limit,
                                       const BytesOf& bytes_of);

// Batches smaller than `batch` that keep the product batch * iter_size with another iter_size and can be
// split into `parts`, ascending.
std::vector<int64_t> smaller_batches(int64_t batch, int64_t iter_size, int64_t parts);

}  // namespace resnet
