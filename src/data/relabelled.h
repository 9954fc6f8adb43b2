// A source with other labels and class names.
#pragma once

#include "resnet/data/source.h"

namespace resnet {

// Label i is of record i; with no labels, they stay as they are.
SourcePtr relabelled(SourcePtr source, std::vector<int32_t> labels,
                     std::vector<std::string> class_names);

}  // namespace resnet
