#include "data/file_source.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "data/input_file.h"
#include "resnet/data/image.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

class FileSource : public DataSource {
 public:
  FileSource(std::string name, fs::path root, const std::vector<LabelledName>& files,
             std::vector<std::string> class_names)
      : name_(std::move(name)), root_(std::move(root)), class_names_(std::move(class_names)) {
    labels_.reserve(files.size());
    for (const LabelledName& file : files) {
      names_.add(file.name);
      labels_.push_back(file.label);
    }
  }

  std::string name() const override { return name_; }
  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  std::string key(int64_t i) const override { return std::string(names_[static_cast<size_t>(i)]); }
  std::vector<std::string> class_names() const override { return class_names_; }

  Record read(int64_t i) const override {
    Record record;
    record.key = key(i);
    record.label = labels_[static_cast<size_t>(i)];
    record.encoded = true;
    record.bytes = bytes_of(record.key);
    if (record.bytes.empty()) throw record_error(name_, record.key, "empty file");
    return record;
  }

 private:
  std::vector<uint8_t> bytes_of(const std::string& key) const {
    const std::string path = (root_ / key).string();
    try {
      const InputFile file(path);
      std::vector<uint8_t> bytes(file.size());
      bytes.resize(file.read(0, bytes));
      return bytes;
    } catch (const DataError& error) {  // "PATH: FACT"
      throw record_error(name_, key, std::string(error.what()).substr(path.size() + 2));
    }
  }

  std::string name_;
  fs::path root_;
  NameTable names_;
  std::vector<int32_t> labels_;
  std::vector<std::string> class_names_;
};

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

// The images below a folder as paths from `root`, sorted. Links are followed.
std::vector<std::string> list_images(const fs::path& folder, const fs::path& root) {
  std::vector<std::string> names;
  const size_t prefix = (root / "").native().size();
  try {
    const auto options = fs::directory_options::follow_directory_symlink;
    for (auto it = fs::recursive_directory_iterator(folder, options); it != end(it); ++it) {
      if (it->is_directory()) {
        if (is_hidden(it->path())) it.disable_recursion_pending();
      } else if (is_image_name(it->path().native())) {
        names.push_back(it->path().native().substr(prefix));
      }
    }
  } catch (const fs::filesystem_error& error) {
    throw DataError(error.path1().string() + ": " + error.code().message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> list_classes(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code failed;
  for (auto it = fs::directory_iterator(folder, failed); !failed && it != end(it);
       it.increment(failed)) {
    if (!is_hidden(it->path()) && it->is_directory(failed)) {
      names.push_back(it->path().filename().string());
    }
    failed.clear();  // a dangling link is no class
  }
  if (failed) throw DataError(folder.string() + ": " + failed.message());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

SourcePtr make_file_source(const std::string& name, const std::string& root,
                           const std::vector<LabelledName>& files,
                           std::vector<std::string> class_names) {
  return std::make_shared<FileSource>(name, root, files, std::move(class_names));
}

bool has_folders(const std::string& path) {
  return fs::is_directory(path) && !list_classes(path).empty();
}

SourcePtr open_folder(const std::string& path) {
  const std::vector<std::string> classes = list_classes(path);
  if (classes.empty()) throw DataError(path + ": holds no folders of images, one for each class");
  std::vector<LabelledName> files;
  for (size_t label = 0; label < classes.size(); ++label) {
    const fs::path folder = fs::path(path) / classes[label];
    std::vector<std::string> names = list_images(folder, path);
    if (names.empty()) {
      throw DataError(folder.string() +
                      ": holds no images (JPEG, PNG, ..); every folder here is a class: remove it");
    }
    for (std::string& name : names) files.push_back({std::move(name), static_cast<int32_t>(label)});
  }
  return make_file_source(path, path, files, classes);
}

SourcePtr open_unlabelled_folder(const std::string& path) {
  std::vector<LabelledName> files;
  for (std::string& name : list_images(path, path)) files.push_back({std::move(name), 0});
  if (files.empty()) throw DataError(path + ": holds no images (JPEG, PNG, ..)");
  return make_file_source(path, path, files, {});
}

SourcePtr open_list(const std::string& path, const std::string& root) {
  const std::string folder = root.empty() ? fs::path(path).parent_path().string() : root;
  return make_file_source(path, folder, read_label_list(path), {});
}

}  // namespace resnet
