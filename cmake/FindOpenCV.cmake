# OpenCV 4 with the wanted COMPONENTS only. OpenCV's own package file is used where there is one; on
# Debian that file comes only with a package that pulls in all of OpenCV, so without it the headers
# and libraries of the components are looked up. Sets OpenCV_LIBS and OpenCV_INCLUDE_DIRS.
find_package(OpenCV QUIET CONFIG COMPONENTS ${OpenCV_FIND_COMPONENTS})
if(NOT OpenCV_CONFIG)
  include(FindPackageHandleStandardArgs)
  find_path(OpenCV_INCLUDE_DIRS opencv2/core.hpp PATH_SUFFIXES opencv4)
  set(OpenCV_LIBS "")
  set(needed OpenCV_INCLUDE_DIRS)
  foreach(component IN LISTS OpenCV_FIND_COMPONENTS)
    find_library(OpenCV_${component}_LIBRARY opencv_${component})
    list(APPEND OpenCV_LIBS "${OpenCV_${component}_LIBRARY}")
    list(APPEND needed OpenCV_${component}_LIBRARY)
  endforeach()
  find_package_handle_standard_args(OpenCV REQUIRED_VARS ${needed})
endif()
