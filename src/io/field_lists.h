// What docs/formats.md says about single fields: accepted without effect, or refused by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace resnet::text {

// Why a field has no effect; empty for a field that is obeyed. `field` is "Message.field".
std::string_view accepted_reason(std::string_view field);

// What to say about a field or enum value that Caffe knows and this program refuses; empty if it is
// unknown to Caffe as well. `name` is "Message.field" or "Message.field=VALUE".
std::string refused_reason(std::string_view name);

// The names that refused_reason() knows, without the parameter groups of layers.
std::vector<std::string> refused_names();

// The values that a string field may have ("SolverParameter.lr_policy"); empty: any string.
std::vector<std::string_view> allowed_strings(std::string_view field);

}  // namespace resnet::text
