#include "class_names.h"

#include <fstream>

#include "flags.h"
#include "resnet/base/error.h"

namespace resnet::cli {

ClassNames::ClassNames(std::vector<std::string> known) : names_(std::move(known)) {
  if (FLAGS_labels.empty()) return;
  std::ifstream file(FLAGS_labels);
  if (!file) throw DataError(FLAGS_labels + ": cannot be read");
  names_.clear();
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    names_.push_back(line);
  }
}

std::string ClassNames::of(int64_t label) const {
  const auto index = static_cast<size_t>(label);
  return index < names_.size() ? names_[index] : "class " + std::to_string(label);
}

ClassNames class_names(const DataSource& source, const std::optional<Preprocessing>& stored) {
  std::vector<std::string> names = source.class_names();
  if (names.empty() && stored) {
    names.assign(stored->class_name().begin(), stored->class_name().end());
  }
  return ClassNames(std::move(names));
}

}  // namespace resnet::cli
