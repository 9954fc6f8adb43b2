#include "resnet/backend/dispatch.h"

#include <algorithm>

namespace resnet {

std::string refuse_signature(const OpDesc& desc) {
  // The number of forward inputs that an OpDesc with a variable number of operands speaks of; Eltwise backward
  // has diff_dst and the n inputs.
  const auto n = static_cast<int>(desc.in.size());
  const auto operands = signature(desc.op, desc.pass, desc.pass == Pass::forward ? n : n - 1);
  if (!operands) return std::string("there is no pass ") + name_of(desc.pass);
  if (operands->in.size() == desc.in.size() && operands->out.size() == desc.out.size()) return "";
  return "expects " + std::to_string(operands->in.size()) + " inputs and " +
         std::to_string(operands->out.size()) + " outputs";
}

std::string refuse_accumulation(const OpDesc& desc, const std::vector<int>& accumulable) {
  for (size_t i = 0; i < desc.out.size(); ++i) {
    if (desc.accumulates(i) && std::find(accumulable.begin(), accumulable.end(),
                                         static_cast<int>(i)) == accumulable.end()) {
      return "output " + std::to_string(i) + " cannot be accumulated";
    }
  }
  return "";
}

void drop_accumulating(const OpDesc& desc, std::vector<std::pair<int, int>>& in_place) {
  std::erase_if(in_place, [&](const auto& pair) {
    return desc.accumulates(static_cast<size_t>(pair.first));
  });
}

}  // namespace resnet
