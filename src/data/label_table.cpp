#include "data/label_table.h"

#include <glog/logging.h>

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr int32_t kAmbiguous = -1;

}  // namespace

LabelTable::LabelTable(const std::string& path) : path_(path), lines_(read_label_list(path)) {
  for (const LabelledName& line : lines_) {
    by_path_[clean_path(line.name)] = line.label;
    const auto [it, is_new] = by_name_.try_emplace(name_part(line.name), line.label);
    if (!is_new && it->second != line.label) it->second = kAmbiguous;
  }
}

int32_t LabelTable::label_of(const std::string& image) const {
  if (const auto it = by_path_.find(image); it != by_path_.end()) return it->second;
  const auto it = by_name_.find(name_part(image));
  if (it == by_name_.end()) throw DataError(path_ + ": has no line for image '" + image + "'");
  if (it->second == kAmbiguous) {
    throw DataError(path_ + ": has several labels for image '" + image + "'");
  }
  return it->second;
}

std::vector<int32_t> LabelTable::labels_of(const DataSource& images) const {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < images.size(); ++i) labels.push_back(label_of(images.key(i)));
  if (by_path_.size() > labels.size()) {
    LOG(WARNING) << path_ << ": has " << by_path_.size() << " lines, but " << images.name()
                 << " holds " << labels.size() << " images";
  }
  return labels;
}

}  // namespace resnet
