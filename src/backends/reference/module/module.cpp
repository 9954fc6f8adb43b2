// The reference backend as a module that is loaded at run time. The same code is also linked in:
// tests compare the two, which proves the interface of loadable backends.
#include "backends/reference/backend.h"

extern "C" {

__attribute__((visibility("default"))) const char* resnet_build_id() { return resnet::build_id(); }

__attribute__((visibility("default"))) resnet::Backend* resnet_backend_v1() {
  return resnet::make_reference_backend().release();
}
}
