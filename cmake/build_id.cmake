# RESNET_BUILD_ID: what a loadable backend must have in common with the program that loads it: version, the headers
# of the interface, the compiler.
set(interface_hash "")
foreach(header backend/backend.h ops/op.h tensor/tensor.h)
  set(header "${CMAKE_SOURCE_DIR}/include/resnet/${header}")
  file(SHA256 "${header}" hash)
  string(APPEND interface_hash "${hash}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${header}")
endforeach()
string(SHA256 interface_hash "${interface_hash}")
string(SUBSTRING "${interface_hash}" 0 16 interface_hash)
set(RESNET_BUILD_ID "${PROJECT_VERSION}-${interface_hash}-${CMAKE_CXX_COMPILER_ID}-${CMAKE_CXX_COMPILER_VERSION}")
