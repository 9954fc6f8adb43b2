// Image files in folders: a folder for each class, or a list of paths and labels.
#pragma once

#include <string>
#include <vector>

#include "data/image_names.h"
#include "resnet/data/source.h"

namespace resnet {

// Records are the files `root`/NAME; their keys are the names.
SourcePtr make_file_source(const std::string& name, const std::string& root,
                           const std::vector<LabelledName>& files,
                           std::vector<std::string> class_names);

// Whether this is a folder that holds folders.
bool has_folders(const std::string& path);

// The images DIR/CLASS/../NAME, in the order of class and path. Labels count the classes' names,
// sorted as bytes, from 0. Throws DataError for a class without images.
SourcePtr open_folder(const std::string& path);

// The images anywhere in a folder, in the order of their paths, all with label 0.
SourcePtr open_unlabelled_folder(const std::string& path);

// The lines "PATH LABEL" of a text file; relative paths begin at `root`, by default its folder.
SourcePtr open_list(const std::string& path, const std::string& root = "");

}  // namespace resnet
