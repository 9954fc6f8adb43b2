// Fields that only NVIDIA's and Intel's forks of Caffe have. They are no fields of resnet.proto: the forks use
// the same numbers for different things, so only their names in text count. Internal to src/io.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace resnet::text {

struct ForkField {
  std::string_view
      name;  // "Message.field", or "Message.field=VALUE" for a value of an enum of ours
  // Values with which the field changes no results here: "" for all, "-" for none, or some, joined by '|'.
  std::string_view harmless;
  std::string_view reason;   // why it changes nothing
  std::string_view instead;  // what to do about other values
};

// With this in a net's own text, a layer has gamma and beta: a Scale layer is added behind it.
constexpr std::string_view kScaleBias = "BatchNormParameter.scale_bias";
constexpr std::string_view kScaleAdded = "a Scale layer is added behind, which does this";

// The entry of a name; nullptr if no fork that is known here has it.
const ForkField* fork_field(std::string_view name);

// Whether a field is without effect when it has this value (as it is written, without quotes).
bool is_harmless(const ForkField& field, std::string_view value);

const std::vector<ForkField>& fork_fields();

}  // namespace resnet::text
