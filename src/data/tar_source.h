// Images straight from a tar file.
#pragma once

#include <string>

#include "resnet/data/source.h"

namespace resnet {

bool is_tar(const std::string& path);

// Labels are those of the classes (tar_index.h), or, with `label_file`, those of its lines "NAME
// LABEL", matched by path or else by the last part of it; then there are no class names. Throws
// DataError when an image has no label, or the tar file cannot be read right.
SourcePtr open_tar(const std::string& path, const std::string& label_file = "");

// The same images, all with label 0.
SourcePtr open_unlabelled_tar(const std::string& path);

}  // namespace resnet
