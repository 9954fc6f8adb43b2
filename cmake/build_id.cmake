# RESNET_BUILD_ID: what a loadable backend must have in common with the program that loads it: version,
# compiler, kind of build and the headers of the interface. Backends find it in resnet/backend/build_id.h.
set(interface "")
foreach(module base tensor ops backend)
  file(GLOB headers CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/include/resnet/${module}/*.h")
  foreach(header IN LISTS headers)
    file(SHA256 "${header}" digest)
    string(APPEND interface "${digest}")
  endforeach()
  set_property(DIRECTORY "${CMAKE_SOURCE_DIR}" APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${headers})
endforeach()
string(SHA256 interface "${interface}")
string(SUBSTRING "${interface}" 0 16 interface)

set(RESNET_BUILD_KIND "${CMAKE_BUILD_TYPE}")
if(RESNET_SANITIZE)
  string(APPEND RESNET_BUILD_KIND "+${RESNET_SANITIZE}")
endif()
string(CONCAT RESNET_BUILD_ID "${PROJECT_VERSION}-${interface}-${CMAKE_CXX_COMPILER_ID}-"
              "${CMAKE_CXX_COMPILER_VERSION}-${RESNET_BUILD_KIND}")
configure_file("${CMAKE_SOURCE_DIR}/cmake/build_id.h.in" "${CMAKE_BINARY_DIR}/gen/resnet/backend/build_id.h" @ONLY)
