#include "resnet/data/source.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "data/file_source.h"
#include "data/sources.h"
#include "data/tar_source.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

class Subset : public DataSource {
 public:
  Subset(SourcePtr source, int64_t begin, int64_t end)
      : source_(std::move(source)), begin_(begin), size_(end - begin) {}

  std::string name() const override {
    return source_->name() + "[" + std::to_string(begin_) + "," + std::to_string(begin_ + size_) +
           ")";
  }
  int64_t size() const override { return size_; }
  Record read(int64_t i) const override { return source_->read(begin_ + i); }
  std::string key(int64_t i) const override { return source_->key(begin_ + i); }
  std::vector<std::string> class_names() const override { return source_->class_names(); }

 private:
  SourcePtr source_;
  int64_t begin_, size_;
};

// Resolves each part of a path that may be a list joined by commas.
std::string resolve_list(const std::string& paths, const std::string& base_dir) {
  if (fs::exists(resolve_path(paths, base_dir))) return resolve_path(paths, base_dir);
  std::string out;
  for (const std::string& path : split_list(paths)) out += resolve_path(path, base_dir) + ',';
  return out;
}

void refuse_other_backends_fields(const LayerParameter& layer) {
  const DataParameter& param = layer.data_param();
  const auto refuse = [&](bool is_set, const char* field, const char* backend) {
    if (!is_set) return;
    throw ConfigError("layer '" + layer.name() + "': data_param." + field + " belongs to backend " +
                      backend + ", not " + DataParameter::DB_Name(param.backend()));
  };
  refuse(param.has_root() && param.backend() != DataParameter::LIST, "root", "LIST");
  refuse(param.has_label_file() && param.backend() != DataParameter::TAR, "label_file", "TAR");
}

SourcePtr open_backend(const DataParameter& param, const std::string& path, Phase phase,
                       const std::string& base_dir) {
  const auto beside = [&](const std::string& file) {
    return file.empty() ? file : resolve_path(file, base_dir);
  };
  switch (param.backend()) {
    case DataParameter::CIFAR10:
      return open_cifar(path, phase);
    case DataParameter::FOLDER:
      return open_folder(path);
    case DataParameter::LIST:
      return open_list(path, beside(param.root()));
    case DataParameter::TAR:
      return open_tar(path, beside(param.label_file()));
    case DataParameter::LMDB:
      break;
  }
  return open_lmdb(path);
}

// A file that begins with text may be a list.
bool is_text(const std::string& path) {
  char head[1024];
  std::ifstream file(path, std::ios::binary);
  file.read(head, sizeof head);
  return file.gcount() > 0 && std::count(head, head + file.gcount(), '\0') == 0;
}

}  // namespace

SourcePtr subset(SourcePtr source, int64_t begin, int64_t end) {
  const int64_t size = source->size();
  if (end == 0) end = size;
  if (begin == 0 && end == size) return source;
  if (begin < 0 || begin >= end || end > size) {
    throw ConfigError(source->name() + ": records [" + std::to_string(begin) + "," +
                      std::to_string(end) + ") were asked for, but it has " + std::to_string(size));
  }
  return std::make_shared<Subset>(std::move(source), begin, end);
}

SourcePtr open_source(const LayerParameter& layer, Phase phase, const std::string& base_dir) {
  if (layer.type() == "DummyData") return open_dummy(layer);
  const DataParameter& param = layer.data_param();
  if (param.source().empty()) {
    throw ConfigError("layer '" + layer.name() + "': data_param.source is missing");
  }
  refuse_other_backends_fields(layer);
  const std::string path = resolve_list(param.source(), base_dir);
  return subset(open_backend(param, path, phase, base_dir),
                static_cast<int64_t>(param.record_begin()),
                static_cast<int64_t>(param.record_end()));
}

SourcePtr open_source(const std::string& path, Phase phase) {
  if (is_lmdb(path)) return open_lmdb(path);
  if (is_cifar(path)) return open_cifar(path, phase);
  if (has_folders(path)) return open_folder(path);
  if (is_tar(path)) return open_tar(path);
  if (fs::is_regular_file(path) && is_text(path)) return open_list(path);
  throw DataError(path +
                  (fs::exists(path)
                       ? ": is neither an LMDB folder, a folder of class folders, a tar file, "
                         "a list of lines \"path label\", nor CIFAR-10's binary files"
                       : ": no such file or folder"));
}

std::string resolve_path(const std::string& path, const std::string& base_dir) {
  if (fs::path(path).is_absolute() || fs::exists(path)) return path;
  const fs::path beside = fs::path(base_dir) / path;
  return fs::exists(beside) ? beside.string() : path;
}

DataError record_error(const std::string& source, const std::string& key, const std::string& fact) {
  return DataError(source + (key == source ? ": " : ": record " + key + ": ") + fact);
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::vector<std::string> read_class_names(const std::string& path) {
  std::vector<std::string> names;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  return names;
}

void write_class_names(const std::string& path, const std::vector<std::string>& names) {
  std::ofstream file(path);
  for (const std::string& name : names) file << name << '\n';
  if (!file.flush()) throw DataError(path + ": cannot be written");
}

}  // namespace resnet
