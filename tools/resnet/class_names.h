// Names of classes, for what people read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "resnet/data/source.h"

namespace resnet::cli {

// Names by label; classes beyond them are called "class 7".
class ClassNames {
 public:
  // The lines of --labels if that is given, else `known`. Throws DataError.
  explicit ClassNames(std::vector<std::string> known);

  std::string of(int64_t label) const;
  int64_t size() const { return static_cast<int64_t>(names_.size()); }

 private:
  std::vector<std::string> names_;
};

// Names of the classes of a data set or, where it does not know them, as stored with the weights.
ClassNames class_names(const DataSource& source, const std::optional<Preprocessing>& stored);

}  // namespace resnet::cli
