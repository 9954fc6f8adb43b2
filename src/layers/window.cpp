#include "layers/window.h"

#include "layers/builtin.h"

namespace resnet::layers {

Pair read_size(const SizeField& field) {
  const auto [name, name_h, name_w, both, h, w, absent] = field;
  if (h || w) {
    require(both.empty(),
            "both " + name + " and " + name_h + " or " + name_w + " are set; keep one form");
    require((h && w) || absent, name_h + " and " + name_w + " belong together; set both");
    const auto value = [&](const std::optional<uint32_t>& v) { return v ? int64_t{*v} : *absent; };
    return {value(h), value(w)};
  }
  require(both.size() <= 2, name + " is set " + std::to_string(both.size()) +
                                " times; set it once, or once each for height and width");
  require(!both.empty() || absent, name + " is missing; set it" +
                                       (name_h.empty() ? "" : ", or " + name_h + " and " + name_w));
  if (both.empty()) return {*absent, *absent};
  return {both.front(), both.back()};
}

}  // namespace resnet::layers
