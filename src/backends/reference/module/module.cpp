// The reference backend as a module that is loaded at run time. The same code is also linked in:
// tests compare the two, which proves the interface of loadable backends.
#include "backends/reference/backend.h"
#include "resnet/backend/build_id.h"

extern "C" {

// The id of the headers that this file was compiled with, not the one that libresnet has.
const char* resnet_build_id() { return resnet::kBuildId; }

resnet::Backend* resnet_backend_v1() { return resnet::make_reference_backend().release(); }
}
