# Compiler flags, where outputs lie in the build folder, and how installed files find each other.
include(GNUInstallDirs)

find_program(RESNET_CCACHE ccache)
if(RESNET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${RESNET_CCACHE}")
endif()

# No -ffast-math: results must not depend on how a compiler reorders sums. A position-independent
# library may still inline its own functions.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-fno-math-errno;-fno-semantic-interposition>"
                    "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CONFIG:Debug>>:-O1>"
                    "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra;-Wno-deprecated-gpu-targets>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)  # GCC 12 warns of sums of strings in its own headers (its bug 105651)
endif()
if(RESNET_SANITIZE)
  add_compile_options(-fsanitize=${RESNET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RESNET_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-maybe-uninitialized)  # GCC 12 with sanitizers: false alarms inside std::regex
  endif()
  if(RESNET_SANITIZE MATCHES "thread")
    add_compile_definitions(RESNET_STD_THREADS)  # parallel_for on std::thread: TSan cannot see libgomp
    # Maps of protobuf have another layout under TSan, which the system's libprotobuf does not share
    # (protobuf 3.21, map_field.h); libstdc++ still has to know.
    add_compile_options(-U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
endif()

if(RESNET_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_compile_definitions(RESNET_STD_THREADS)  # Clang's OpenMP is a package of its own
endif()

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib/static")
set(RESNET_BACKEND_DIR "${CMAKE_BINARY_DIR}/lib/resnet")  # loadable backends

set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
file(RELATIVE_PATH bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
set(CMAKE_INSTALL_RPATH "$ORIGIN;$ORIGIN/${bin_to_lib}")
