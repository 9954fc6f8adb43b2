// Labels of images by their names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/image_names.h"
#include "resnet/data/source.h"

namespace resnet {

// The lines "NAME LABEL" of a file, looked up by path, or else by the last part of it.
class LabelTable {
 public:
  explicit LabelTable(const std::string& path);  // throws DataError

  // Throws DataError if the list says nothing about it, or several things.
  int32_t label_of(const std::string& image) const;
  // The labels of all images of a source. Warns of lines about other images.
  std::vector<int32_t> labels_of(const DataSource& images) const;

 private:
  std::string path_;
  std::vector<LabelledName> lines_;
  std::unordered_map<std::string, int32_t> by_path_;
  std::unordered_map<std::string_view, int32_t> by_name_;  // names in lines_
};

}  // namespace resnet
