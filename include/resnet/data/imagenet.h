// ImageNet (ILSVRC2012) as it is downloaded: tar files, the devkit's classes and ground truth.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet {

struct Synset {
  int64_t id;         // ILSVRC2012_ID, from 1: the devkit's own order, which is no label
  std::string wnid;   // "n01751748"
  std::string words;  // "sea snake"
};

struct Devkit {
  std::string name;                     // its path, for messages
  std::vector<Synset> classes;          // the leaves, sorted by wnid: the index is the label
  std::vector<int64_t> validation_ids;  // of the validation images in ascending order of names
};

// From an unpacked devkit, or from its tar.gz: meta.mat and ILSVRC2012_validation_ground_truth.txt,
// wherever they lie in it. Throws DataError.
Devkit read_devkit(const std::string& path);

// Where the parts of the set are; empty: not given. Folders hold class folders, or, for `val`,
// images side by side; tar files are as downloaded.
struct ImageNetPaths {
  std::string train, val;
  std::string devkit;    // classes, and the labels of `val`
  std::string val_list;  // or: lines "NAME LABEL", labels counting the sorted classes from 0
  std::string labels;    // lines "WNID WORDS"
};

struct ImageNetSets {
  SourcePtr train, val;  // null where no path was given
};

// Opens both parts with one numbering: label k is the k-th of the sorted wnids, of the training set
// if there is one, else of the devkit. Class names are "WNID WORDS" as far as words are known.
// Throws ConfigError when no labels are to be had for `val`, DataError when counts or classes do
// not agree.
ImageNetSets open_imagenet(const ImageNetPaths& paths);

// The same source with names from a file, a line each: for a source that has class names, the line
// that begins with the name; else the line that the label counts from 0. Throws DataError.
SourcePtr with_class_names(SourcePtr source, const std::string& labels_file);

}  // namespace resnet
