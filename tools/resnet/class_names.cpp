#include "class_names.h"

#include "flags.h"
#include "resnet/eval/classification.h"

namespace resnet::cli {

ClassNames::ClassNames(std::vector<std::string> known) : names_(std::move(known)) {
  if (!FLAGS_labels.empty()) names_ = read_label_names(FLAGS_labels);
}

std::string ClassNames::of(int64_t label) const { return label_name(names_, label); }

ClassNames class_names(const DataSource& source, const std::optional<Preprocessing>& stored) {
  std::vector<std::string> names = source.class_names();
  if (names.empty() && stored) {
    names.assign(stored->class_name().begin(), stored->class_name().end());
  }
  return ClassNames(std::move(names));
}

}  // namespace resnet::cli
