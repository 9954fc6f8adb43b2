#include "resnet/backend/backend.h"

namespace resnet {

const char* build_id() { return RESNET_BUILD_ID; }

}  // namespace resnet
