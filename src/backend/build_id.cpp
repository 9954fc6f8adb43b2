#include "resnet/backend/build_id.h"

#include "resnet/backend/backend.h"

namespace resnet {

const char* build_id() { return kBuildId; }

}  // namespace resnet
