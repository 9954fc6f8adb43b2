#include "layers/window.h"

#include <limits>

#include "layers/builtin.h"

namespace resnet::layers {

namespace {

Pair read_values(const SizeField& field) {
  const auto [name, name_h, name_w, both, h, w, absent] = field;
  if (h || w) {
    require(both.empty(),
            "both " + name + " and " + name_h + " or " + name_w + " are set; keep one form");
    require((h && w) || absent, name_h + " and " + name_w + " belong together; set both");
    return {h ? int64_t{*h} : *absent, w ? int64_t{*w} : *absent};
  }
  require(both.size() <= 2, name + " is set " + std::to_string(both.size()) +
                                " times; set it once, or once each for height and width");
  require(!both.empty() || absent, name + " is missing; set it" +
                                       (name_h.empty() ? "" : ", or " + name_h + " and " + name_w));
  if (both.empty()) return {*absent, *absent};
  return {both.front(), both.back()};
}

}  // namespace

Pair read_size(const SizeField& field) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();  // products fit into 64 bits
  const Pair size = read_values(field);
  for (const int64_t value : size) {
    require(value <= kMax, field.name + " is " + std::to_string(value) + "; at most " +
                               std::to_string(kMax) + " is possible");
  }
  return size;
}

}  // namespace resnet::layers
