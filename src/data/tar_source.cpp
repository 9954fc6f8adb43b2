#include "data/tar_source.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "data/image_names.h"
#include "data/label_table.h"
#include "data/tar_index.h"
#include "data/tar_reader.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

class TarSource : public DataSource {
 public:
  explicit TarSource(const std::string& path) : tar_(path), index_(load_tar_index(tar_)) {
    const std::string_view names = index_.names();
    for (size_t begin = 0; begin < names.size();) {
      const size_t end = names.find('\n', begin);
      names_.add(names.substr(begin, end - begin));
      begin = end + 1;
    }
    index_.clear_names();
  }

  std::string name() const override { return tar_.path(); }
  int64_t size() const override { return index_.offset_size(); }
  std::string key(int64_t i) const override { return std::string(names_[static_cast<size_t>(i)]); }
  std::vector<std::string> class_names() const override {
    return {index_.class_name().begin(), index_.class_name().end()};
  }

  Record read(int64_t i) const override {
    const auto n = static_cast<int>(i);
    Record record;
    record.key = key(i);
    record.label = index_.label(n);
    record.encoded = true;
    record.bytes.resize(index_.size(n));
    if (record.bytes.empty()) throw record_error(name(), record.key, "empty file");
    if (tar_.read(index_.offset(n), record.bytes) != record.bytes.size()) {
      throw record_error(name(), record.key, "the tar file became shorter");
    }
    return record;
  }

  void refuse_without_classes() const {
    if (index_.class_name_size() > 0) return;
    throw DataError(name() + ": '" + key(0) +
                    "' lies in no class folder; give a label_file (lines \"name label\")");
  }

  void set_labels(const std::vector<int32_t>& labels) {
    index_.clear_class_name();
    index_.mutable_label()->Assign(labels.begin(), labels.end());
  }

 private:
  InputFile tar_;
  TarIndex index_;
  NameTable names_;
};

}  // namespace

bool is_tar(const std::string& path) {
  if (!fs::is_regular_file(path)) return false;
  const std::string_view name = name_part(path);
  if (name.ends_with(".tar") || name.find(".tar.") != std::string_view::npos) return true;
  std::array<uint8_t, 262> head{};
  const InputFile file(path);
  return file.read(0, head) == head.size() &&
         std::equal(head.begin() + 257, head.end(), std::string_view("ustar").begin());
}

SourcePtr open_tar(const std::string& path, const std::string& label_file) {
  auto source = std::make_shared<TarSource>(path);
  if (label_file.empty()) {
    source->refuse_without_classes();
  } else {
    source->set_labels(LabelTable(label_file).labels_of(*source));
  }
  return source;
}

SourcePtr open_unlabelled_tar(const std::string& path) {
  auto source = std::make_shared<TarSource>(path);
  source->set_labels(std::vector<int32_t>(static_cast<size_t>(source->size())));
  return source;
}

}  // namespace resnet
