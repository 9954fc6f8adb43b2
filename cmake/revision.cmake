# As a script (-DSOURCE=.. -DOUTPUT=.. -P): writes #define RESNET_REVISION "<git describe>", "" without git.
# Included: target resnet_revision, which does that at every build; <build>/revision/revision.h.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  add_custom_target(resnet_revision
    COMMAND "${CMAKE_COMMAND}" "-DSOURCE=${CMAKE_SOURCE_DIR}" "-DOUTPUT=${CMAKE_BINARY_DIR}/revision/revision.h"
            -P "${CMAKE_CURRENT_LIST_FILE}"
    BYPRODUCTS "${CMAKE_BINARY_DIR}/revision/revision.h"
    COMMENT "Looking up the revision")
  return()
endif()

set(revision "")
find_program(GIT git)
if(GIT AND EXISTS "${SOURCE}/.git")
  execute_process(COMMAND "${GIT}" -C "${SOURCE}" describe --always --dirty --tags
                  OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(text "#define RESNET_REVISION \"${revision}\"\n")
set(old "")
if(EXISTS "${OUTPUT}")
  file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL text)
  file(WRITE "${OUTPUT}" "${text}")
endif()
