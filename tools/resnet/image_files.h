// The image files that a command line names.
#pragma once

#include <string>
#include <vector>

namespace resnet::cli {

// Operands, in their order, and the lines of --list. A folder stands for the images in it and below it,
// by their names' extensions, in the order of their paths; links to folders are not followed. A line of
// a list may be "PATH LABEL", as Caffe's are; relative paths are sought in the working directory, then
// beside the list. Throws ConfigError when there are no images at all, DataError for what does not
// exist and for folders without images.
std::vector<std::string> image_paths(const std::vector<std::string>& operands);

}  // namespace resnet::cli
