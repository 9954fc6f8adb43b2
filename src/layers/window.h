// The size fields of sliding windows: kernel, stride, pad, dilation. Internal to src/layers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "resnet/ops/op.h"

namespace resnet::layers {

// What a prototxt says about one size.
struct SizeField {
  std::string name;               // "pad": the field for both axes
  std::string name_h, name_w;     // "pad_h", "pad_w"; empty when there are none
  std::vector<uint32_t> both;     // values of `name`: none, one for both axes, or {height, width}
  std::optional<uint32_t> h, w;   // values of name_h, name_w
  std::optional<int64_t> absent;  // used where nothing is said; none: the field is required
};

// Throws ConfigError when `both` and h or w are set, when `both` has more than two values, and when
// a required size is missing.
Pair read_size(const SizeField& field);

// The value of an optional field when it is set: RESNET_IF_SET(p, stride_h).
#define RESNET_IF_SET(message, field) \
  ((message).has_##field() ? std::optional<uint32_t>((message).field()) : std::optional<uint32_t>())

}  // namespace resnet::layers
