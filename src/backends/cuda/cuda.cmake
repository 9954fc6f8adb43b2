# The CUDA backend: lib/resnet/cuda.so, loaded at run time. Nothing else of the project needs CUDA.
#   RESNET_CUDA                AUTO: where toolkit, cuDNN and cudnn-frontend are found; ON: or fail; OFF
#   RESNET_CUDA_ARCHITECTURES  as CMAKE_CUDA_ARCHITECTURES
set(RESNET_CUDA AUTO CACHE STRING "Build the CUDA backend: AUTO, ON or OFF")
set_property(CACHE RESNET_CUDA PROPERTY STRINGS AUTO ON OFF)
set(RESNET_CUDA_ARCHITECTURES "80-real;90-real;90-virtual" CACHE STRING "GPUs that the CUDA backend is compiled for")

set(cuda_missing "")
if(NOT RESNET_CUDA STREQUAL "OFF")
  set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)  # for the tests
  find_package(CUDAToolkit 12.0 QUIET)
  unset(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL)
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE)
    list(APPEND cuda_missing "the CUDA toolkit (12 or 13, with nvcc)")
  endif()
  find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
  find_library(CUDNN_LIBRARY NAMES cudnn libcudnn.so.9 HINTS ${CUDAToolkit_LIBRARY_DIR})
  if(NOT CUDNN_INCLUDE_DIR OR NOT CUDNN_LIBRARY)
    list(APPEND cuda_missing "cuDNN 9")
  endif()
  find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h HINTS "${CMAKE_SOURCE_DIR}/build/third_party/cudnn-frontend/include"
            ${CUDAToolkit_INCLUDE_DIRS})
  if(NOT CUDNN_FRONTEND_INCLUDE_DIR)
    list(APPEND cuda_missing "cudnn-frontend (tools/setup.sh --cuda fetches it)")
  endif()
endif()
if(RESNET_CUDA STREQUAL "OFF")
  message(STATUS "CUDA backend: off (RESNET_CUDA=OFF)")
  return()
elseif(cuda_missing)
  list(JOIN cuda_missing ", " cuda_missing)
  if(RESNET_CUDA STREQUAL "ON")
    message(FATAL_ERROR "RESNET_CUDA=ON, but missing: ${cuda_missing}")
  endif()
  message(STATUS "CUDA backend: not built; missing: ${cuda_missing}")
  return()
endif()
message(STATUS "CUDA backend: CUDA ${CUDAToolkit_VERSION} for ${RESNET_CUDA_ARCHITECTURES}")

set(CMAKE_CUDA_COMPILER "${CUDAToolkit_NVCC_EXECUTABLE}")
set(CMAKE_CUDA_ARCHITECTURES "${RESNET_CUDA_ARCHITECTURES}")
if(RESNET_CCACHE AND NOT CMAKE_CUDA_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${RESNET_CCACHE}")
endif()
enable_language(CUDA)
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # CMake 3.25 does not know that nvcc speaks C++20
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()

file(GLOB cuda_kernels CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/backends/cuda/*.cu")
file(GLOB cuda_sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/backends/cuda/*.cpp"
     "${CMAKE_SOURCE_DIR}/src/backends/cuda/cudnn/*.cpp" "${CMAKE_SOURCE_DIR}/src/backends/cuda/module/*.cpp")
add_library(resnet_cuda_kernels OBJECT ${cuda_kernels})
# The host's compiler does not know #pragma unroll.
target_compile_options(resnet_cuda_kernels PRIVATE -Xcompiler=-Wno-unknown-pragmas)
target_include_directories(resnet_cuda_kernels PRIVATE "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/gen")
# What tests/cudnn needs of it; slow to compile.
set(cudnn_engines "${CMAKE_SOURCE_DIR}/src/backends/cuda/cudnn/cudnn_status.cpp"
    "${CMAKE_SOURCE_DIR}/src/backends/cuda/cudnn/engines.cpp" "${CMAKE_SOURCE_DIR}/src/backends/cuda/cudnn/selection.cpp")
list(REMOVE_ITEM cuda_sources ${cudnn_engines})
add_library(resnet_cudnn_engines OBJECT ${cudnn_engines})
target_include_directories(resnet_cudnn_engines PRIVATE "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src" "${CMAKE_BINARY_DIR}/gen")
target_include_directories(resnet_cudnn_engines SYSTEM PRIVATE "${CUDNN_FRONTEND_INCLUDE_DIR}" "${CUDNN_INCLUDE_DIR}"
                           ${CUDAToolkit_INCLUDE_DIRS})
add_library(resnet_cuda_module MODULE ${cuda_sources} $<TARGET_OBJECTS:resnet_cudnn_engines> $<TARGET_OBJECTS:resnet_cuda_kernels>)
target_include_directories(resnet_cuda_module PRIVATE "${CMAKE_SOURCE_DIR}/src")
target_include_directories(resnet_cuda_module SYSTEM PRIVATE "${CUDNN_FRONTEND_INCLUDE_DIR}" "${CUDNN_INCLUDE_DIR}"
                           ${CUDAToolkit_INCLUDE_DIRS})
target_link_libraries(resnet_cuda_module PRIVATE resnet CUDA::cudart_static CUDA::cublas "${CUDNN_LIBRARY}")
set_target_properties(resnet_cuda_module PROPERTIES PREFIX "" OUTPUT_NAME cuda INSTALL_RPATH "$ORIGIN/.."
                      LINKER_LANGUAGE CXX LIBRARY_OUTPUT_DIRECTORY "${RESNET_BACKEND_DIR}")
set_property(GLOBAL APPEND PROPERTY RESNET_BACKEND_MODULES resnet_cuda_module)

# A part of tools/gpu_check.sh.
add_executable(launch_cost "${CMAKE_SOURCE_DIR}/tools/bench/launch_cost.cu" "${CMAKE_SOURCE_DIR}/src/backends/cuda/status.cpp")
target_include_directories(launch_cost PRIVATE "${CMAKE_SOURCE_DIR}/src")
target_link_libraries(launch_cost PRIVATE resnet_tensor CUDA::cudart_static)
set_target_properties(launch_cost PROPERTIES LINKER_LANGUAGE CXX RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
