# Compiler flags, dependencies, and the two functions that declare modules and tests.
include(GNUInstallDirs)

find_program(RESNET_CCACHE ccache)
if(RESNET_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RESNET_CCACHE}")
endif()

find_package(Protobuf REQUIRED)
find_package(glog REQUIRED)
find_package(gflags REQUIRED)
find_package(JPEG REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(dnnl REQUIRED)
find_package(Threads REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
find_path(LMDB_INCLUDE_DIR lmdb.h REQUIRED)
# Debian's OpenCV modules come without a CMake package unless the whole of OpenCV is installed.
find_path(OpenCV_INCLUDE_DIRS opencv2/core.hpp PATH_SUFFIXES opencv4 REQUIRED)
set(OpenCV_LIBS)
foreach(module core imgproc imgcodecs)
  find_library(OPENCV_${module}_LIBRARY opencv_${module} REQUIRED)
  list(APPEND OpenCV_LIBS "${OPENCV_${module}_LIBRARY}")
endforeach()

# -Wrestrict: GCC 12 reports string concatenations that are fine (GCC bug 105329).
add_compile_options(-Wall -Wextra -Wno-restrict -fno-math-errno $<$<CONFIG:Debug>:-O1>)
if(RESNET_SANITIZE)
  add_compile_options(-fsanitize=${RESNET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RESNET_SANITIZE})
  if(RESNET_SANITIZE MATCHES "thread")
    add_compile_definitions(RESNET_STD_THREADS)  # parallel_for on std::thread: TSan cannot see libgomp
  endif()
endif()

# resnet_module(name [DIR dir] [DEPENDS modules...] [LIBS libraries...])
# One static target resnet_<name> from src/<dir>/*.cpp; DIR defaults to the name.
function(resnet_module name)
  cmake_parse_arguments(M "" "DIR" "DEPENDS;LIBS" ${ARGN})
  if(NOT M_DIR)
    set(M_DIR ${name})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${M_DIR}/*.cpp")
  list(TRANSFORM M_DEPENDS PREPEND resnet_)
  if(sources)
    add_library(resnet_${name} STATIC ${sources})
    target_include_directories(resnet_${name} PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                                                     $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
    target_link_libraries(resnet_${name} PUBLIC ${M_DEPENDS} ${M_LIBS})
  else()
    add_library(resnet_${name} INTERFACE)
    target_include_directories(resnet_${name} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                                                        $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
    target_link_libraries(resnet_${name} INTERFACE ${M_DEPENDS} ${M_LIBS})
  endif()
  set_property(GLOBAL APPEND PROPERTY RESNET_MODULES resnet_${name})
endfunction()

# resnet_tests(folder [LABEL fast|slow] [LIBS ...]): one executable <folder>_test from
# tests/<folder>/*_test.cpp.
function(resnet_tests folder)
  cmake_parse_arguments(T "" "LABEL" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${folder}/*.cpp")
  if(NOT sources)
    return()
  endif()
  if(NOT T_LABEL)
    set(T_LABEL fast)
  endif()
  add_executable(${folder}_test ${sources})
  target_include_directories(${folder}_test PRIVATE "${CMAKE_SOURCE_DIR}/tests")
  target_compile_definitions(${folder}_test PRIVATE RESNET_SHARED_DIR="${RESNET_SHARED_DIR}"
                             RESNET_SOURCE_DIR="${CMAKE_SOURCE_DIR}" RESNET_BINARY_DIR="${CMAKE_BINARY_DIR}")
  target_link_libraries(${folder}_test PRIVATE ${T_LIBS} GTest::gtest GTest::gtest_main)
  add_test(NAME ${folder} COMMAND ${folder}_test WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
  set_tests_properties(${folder} PROPERTIES LABELS ${T_LABEL} TIMEOUT 1200)
endfunction()
