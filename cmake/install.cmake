# Installed: bin/resnet, lib/libresnet.so, loadable backends, headers, models, and the package files for
# find_package(resnet).
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/resnet")
get_property(backend_modules GLOBAL PROPERTY RESNET_BACKEND_MODULES)

install(TARGETS resnet EXPORT resnetTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS resnet_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS ${backend_modules} LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}/resnet")
install(DIRECTORY include/resnet "${CMAKE_BINARY_DIR}/gen/resnet" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.h")
install(DIRECTORY models DESTINATION "${CMAKE_INSTALL_DATADIR}/resnet" OPTIONAL)
install(FILES LICENSE README.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/examples DESTINATION "${CMAKE_INSTALL_DOCDIR}")

install(EXPORT resnetTargets NAMESPACE resnet:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/resnetConfig.cmake.in "${CMAKE_BINARY_DIR}/resnetConfig.cmake"
                              INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/resnetConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/resnetConfig.cmake" "${CMAKE_BINARY_DIR}/resnetConfigVersion.cmake"
        DESTINATION "${package_dir}")
