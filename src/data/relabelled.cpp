#include "data/relabelled.h"

#include <utility>

namespace resnet {
namespace {

class Relabelled : public DataSource {
 public:
  Relabelled(SourcePtr source, std::vector<int32_t> labels, std::vector<std::string> class_names)
      : source_(std::move(source)),
        labels_(std::move(labels)),
        class_names_(std::move(class_names)) {}

  std::string name() const override { return source_->name(); }
  int64_t size() const override { return source_->size(); }
  std::string key(int64_t i) const override { return source_->key(i); }
  std::vector<std::string> class_names() const override { return class_names_; }
  Record read(int64_t i) const override {
    Record record = source_->read(i);
    if (!labels_.empty()) record.label = labels_[static_cast<size_t>(i)];
    return record;
  }

 private:
  SourcePtr source_;
  std::vector<int32_t> labels_;
  std::vector<std::string> class_names_;
};

}  // namespace

SourcePtr relabelled(SourcePtr source, std::vector<int32_t> labels,
                     std::vector<std::string> class_names) {
  return std::make_shared<Relabelled>(std::move(source), std::move(labels), std::move(class_names));
}

}  // namespace resnet
