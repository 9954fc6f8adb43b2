# Installed: bin/resnet, lib/libresnet.so, headers, and a package file for find_package(resnet).
include(CMakePackageConfigHelpers)
