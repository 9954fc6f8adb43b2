# The functions that declare modules, the library, loadable backends and tests.

# resnet_module(name [DIR dir] [DEPENDS modules...] [LIBS libraries...])
# One static target resnet_<name> from src/<dir>/*.cpp; DIR defaults to the name.
function(resnet_module name)
  cmake_parse_arguments(M "" "DIR" "DEPENDS;LIBS" ${ARGN})
  if(NOT M_DIR)
    set(M_DIR ${name})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/${M_DIR}/*.cpp")
  list(TRANSFORM M_DEPENDS PREPEND resnet_)
  set(scope INTERFACE)
  if(sources)
    add_library(resnet_${name} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(resnet_${name} INTERFACE)
  endif()
  target_include_directories(resnet_${name} ${scope} "${CMAKE_SOURCE_DIR}/include" "${CMAKE_SOURCE_DIR}/src"
                                                     "${CMAKE_BINARY_DIR}/gen")
  target_link_libraries(resnet_${name} ${scope} ${M_DEPENDS} ${M_LIBS})
  set_property(GLOBAL APPEND PROPERTY RESNET_MODULES resnet_${name})
  set_property(GLOBAL APPEND PROPERTY RESNET_LIBS ${M_LIBS})
endfunction()

# Target resnet: libresnet.so from the objects of all modules declared so far. What links to it sees the
# public headers and Protocol Buffers; the other libraries stay private.
function(resnet_shared_library)
  get_property(modules GLOBAL PROPERTY RESNET_MODULES)
  get_property(libs GLOBAL PROPERTY RESNET_LIBS)
  list(REMOVE_DUPLICATES libs)
  add_library(resnet SHARED)
  foreach(module IN LISTS modules)
    get_target_property(type ${module} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
      target_sources(resnet PRIVATE $<TARGET_OBJECTS:${module}>)
    endif()
  endforeach()
  target_include_directories(resnet PUBLIC $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
                                           $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}/gen>
                                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_compile_features(resnet PUBLIC cxx_std_20)
  target_link_libraries(resnet PUBLIC protobuf::libprotobuf PRIVATE ${libs})
  if(NOT RESNET_SANITIZE)  # with sanitizers, some symbols come with the program
    target_link_options(resnet PRIVATE LINKER:--no-undefined)
  endif()
  set_target_properties(resnet PROPERTIES LINKER_LANGUAGE CXX VERSION ${PROJECT_VERSION}
                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
endfunction()

# resnet_backend_module(name [LIBS libraries...]): the backend of src/backends/<name> once more, with its
# module/*.cpp, as a file that make_backend() loads at run time: <build>/lib/resnet/<name>.so.
function(resnet_backend_module name)
  cmake_parse_arguments(M "" "" "LIBS" ${ARGN})
  set(target resnet_${name}_module)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/src/backends/${name}/module/*.cpp")
  add_library(${target} MODULE ${sources} $<TARGET_OBJECTS:resnet_${name}>)
  target_include_directories(${target} PRIVATE "${CMAKE_SOURCE_DIR}/src")
  target_link_libraries(${target} PRIVATE resnet ${M_LIBS})
  # Its own copies of the backend's functions win over those that libresnet holds.
  target_link_options(${target} PRIVATE LINKER:-Bsymbolic)
  set_target_properties(${target} PROPERTIES PREFIX "" OUTPUT_NAME ${name} INSTALL_RPATH "$ORIGIN/.."
                        LIBRARY_OUTPUT_DIRECTORY "${RESNET_BACKEND_DIR}")
  set_property(GLOBAL APPEND PROPERTY RESNET_BACKEND_MODULES ${target})
endfunction()

# resnet_tests(folder [LABEL fast|slow|parity] [SHARED] [MODULES] [TOOL] [LIBS ...])
# One executable tests/<folder>_test from tests/<folder>/*.cpp, run by ctest under the name of the folder.
# LIBS: the modules under test, linked statically, which also proves that they need no other module.
# SHARED: links libresnet instead (tests of everything together).
# MODULES: needs the loadable backends, which lie in RESNET_BACKEND_DIR.
# TOOL: needs them and the executable, whose path is RESNET_TOOL.
function(resnet_tests folder)
  cmake_parse_arguments(T "SHARED;MODULES;TOOL" "LABEL" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/tests/${folder}/*.cpp")
  if(NOT sources)
    return()
  endif()
  if(NOT T_LABEL)
    set(T_LABEL fast)
  endif()
  add_executable(${folder}_test ${sources})
  target_include_directories(${folder}_test PRIVATE "${CMAKE_SOURCE_DIR}/tests" "${CMAKE_SOURCE_DIR}/src")
  target_compile_definitions(${folder}_test PRIVATE
    RESNET_SHARED_DIR="${RESNET_SHARED_DIR}" RESNET_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
    RESNET_BINARY_DIR="${CMAKE_BINARY_DIR}" RESNET_TOOL="${CMAKE_BINARY_DIR}/bin/resnet"
    RESNET_BACKEND_DIR="${RESNET_BACKEND_DIR}")
  if(T_SHARED)
    target_link_libraries(${folder}_test PRIVATE resnet)
  endif()
  target_link_libraries(${folder}_test PRIVATE ${T_LIBS} GTest::gtest GTest::gtest_main)
  get_property(backend_modules GLOBAL PROPERTY RESNET_BACKEND_MODULES)
  get_property(test_modules GLOBAL PROPERTY RESNET_TEST_MODULES)  # loadable backends that are not installed
  list(APPEND backend_modules ${test_modules})
  if(T_TOOL)
    add_dependencies(${folder}_test resnet_tool ${backend_modules})
  elseif(T_MODULES)
    add_dependencies(${folder}_test ${backend_modules})
  endif()
  set_target_properties(${folder}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
  add_test(NAME ${folder} COMMAND ${folder}_test WORKING_DIRECTORY "${CMAKE_BINARY_DIR}")
  set_tests_properties(${folder} PROPERTIES LABELS ${T_LABEL} TIMEOUT 1200)
endfunction()
