#include "data/tar_source.h"

#include <glog/logging.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <unordered_map>

#include "data/image_names.h"
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

  void set_labels(const std::string& label_file);

  void clear_labels() {
    index_.clear_class_name();
    for (int32_t& label : *index_.mutable_label()) label = 0;
  }

 private:
  InputFile tar_;
  TarIndex index_;
  NameTable names_;
};

// Looks names up by path, or else by the last part of it.
class LabelTable {
 public:
  explicit LabelTable(const std::string& path) : path_(path), lines_(read_label_list(path)) {
    for (const LabelledName& line : lines_) {
      by_path_[clean_path(line.name)] = line.label;
      const auto [it, is_new] = by_name_.try_emplace(name_part(line.name), line.label);
      if (!is_new && it->second != line.label) it->second = kAmbiguous;
    }
  }

  size_t size() const { return by_path_.size(); }

  // Throws DataError if the list says nothing about it, or several things.
  int32_t label_of(const std::string& image) const {
    if (const auto it = by_path_.find(image); it != by_path_.end()) return it->second;
    const auto it = by_name_.find(name_part(image));
    if (it == by_name_.end()) throw DataError(path_ + ": has no line for image '" + image + "'");
    if (it->second == kAmbiguous) {
      throw DataError(path_ + ": has several labels for image '" + image + "'");
    }
    return it->second;
  }

 private:
  static constexpr int32_t kAmbiguous = -1;
  std::string path_;
  std::vector<LabelledName> lines_;
  std::unordered_map<std::string, int32_t> by_path_;
  std::unordered_map<std::string_view, int32_t> by_name_;
};

void TarSource::set_labels(const std::string& label_file) {
  const LabelTable table(label_file);
  index_.clear_class_name();
  for (int64_t i = 0; i < size(); ++i) {
    index_.set_label(static_cast<int>(i), table.label_of(key(i)));
  }
  if (table.size() > static_cast<size_t>(size())) {
    LOG(WARNING) << label_file << ": has " << table.size() << " lines, but " << name() << " holds "
                 << size() << " images";
  }
}

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
    source->set_labels(label_file);
  }
  return source;
}

SourcePtr open_unlabelled_tar(const std::string& path) {
  auto source = std::make_shared<TarSource>(path);
  source->clear_labels();
  return source;
}

}  // namespace resnet
