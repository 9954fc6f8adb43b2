#include "resnet/data/imagenet.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>

#include "data/file_source.h"
#include "data/label_table.h"
#include "data/relabelled.h"
#include "data/sources.h"
#include "data/tar_source.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

std::string first_word(const std::string& line) {
  return line.substr(0, line.find_first_of(" \t"));
}

std::vector<std::string> read_names(const std::string& path) {
  if (!fs::is_regular_file(path)) throw DataError(path + ": no such file");
  std::vector<std::string> names = read_class_names(path);
  if (names.empty()) throw DataError(path + ": holds no names");
  return names;
}

// What is known about the classes beside their wnids.
class ClassTable {
 public:
  ClassTable(const std::optional<Devkit>& devkit, const std::string& labels_file) {
    if (devkit) {
      for (const Synset& synset : devkit->classes) {
        names_[synset.wnid] = synset.wnid + ' ' + synset.words;
      }
    }
    if (labels_file.empty()) return;
    for (const std::string& line : read_names(labels_file)) names_[first_word(line)] = line;
  }

  std::vector<std::string> names(const std::vector<std::string>& wnids) const {
    std::vector<std::string> out;
    for (const std::string& wnid : wnids) {
      const auto it = names_.find(wnid);
      out.push_back(it == names_.end() ? wnid : it->second);
    }
    return out;
  }

 private:
  std::map<std::string, std::string> names_;
};

SourcePtr open_classes(const std::string& path) {
  return is_tar(path) ? open_tar(path) : open_folder(path);
}

SourcePtr open_unlabelled(const std::string& path) {
  return is_tar(path) ? open_unlabelled_tar(path) : open_unlabelled_folder(path);
}

bool has_classes(const std::string& path) {
  if (!is_tar(path)) return has_folders(path);
  return open_unlabelled_tar(path)->key(0).find('/') != std::string::npos;
}

// Labels of wnids in the sorted list of all.
class Numbering {
 public:
  explicit Numbering(const std::vector<std::string>& wnids) {
    for (const std::string& wnid : wnids) {
      labels_.emplace(wnid, static_cast<int32_t>(labels_.size()));
    }
  }
  int32_t label_of(const std::string& wnid, const std::string& place) const {
    const auto it = labels_.find(wnid);
    if (it == labels_.end()) {
      throw DataError(place + ": has images of class " + wnid +
                      ", which the training set does not have");
    }
    return it->second;
  }

 private:
  std::map<std::string, int32_t> labels_;
};

// By the devkit: its IDs belong to the images in ascending order of names.
std::vector<int32_t> devkit_labels(const DataSource& images, const Devkit& devkit,
                                   const Numbering& numbering) {
  const auto count = static_cast<size_t>(images.size());
  if (devkit.validation_ids.size() != count) {
    throw DataError(images.name() + ": holds " + std::to_string(count) + " images, but " +
                    devkit.name + " knows " + std::to_string(devkit.validation_ids.size()));
  }
  std::map<int64_t, std::string> wnids;
  for (const Synset& synset : devkit.classes) wnids[synset.id] = synset.wnid;
  std::vector<std::string> keys;
  for (size_t i = 0; i < count; ++i) keys.push_back(images.key(static_cast<int64_t>(i)));
  std::vector<size_t> ascending(count);
  std::iota(ascending.begin(), ascending.end(), size_t{0});
  std::sort(ascending.begin(), ascending.end(),
            [&](size_t a, size_t b) { return name_part(keys[a]) < name_part(keys[b]); });
  std::vector<int32_t> labels(count);
  for (size_t k = 0; k < count; ++k) {
    labels[ascending[k]] = numbering.label_of(wnids.at(devkit.validation_ids[k]), images.name());
  }
  return labels;
}

// By the folders that the images lie in.
std::vector<int32_t> folder_labels(const DataSource& images, const Numbering& numbering) {
  std::vector<int32_t> labels;
  for (int64_t i = 0; i < images.size(); ++i) {
    const std::string key = images.key(i);
    labels.push_back(numbering.label_of(key.substr(0, key.find('/')), images.name()));
  }
  return labels;
}

SourcePtr open_val(const ImageNetPaths& paths, const std::optional<Devkit>& devkit,
                   std::vector<std::string> wnids, const ClassTable& table) {
  if (!paths.val_list.empty()) {
    SourcePtr images = open_unlabelled(paths.val);
    std::vector<int32_t> labels = LabelTable(paths.val_list).labels_of(*images);
    return relabelled(std::move(images), std::move(labels), table.names(wnids));
  }
  if (devkit) {
    SourcePtr images = open_unlabelled(paths.val);
    std::vector<int32_t> labels = devkit_labels(*images, *devkit, Numbering(wnids));
    return relabelled(std::move(images), std::move(labels), table.names(wnids));
  }
  if (!has_classes(paths.val)) {
    throw ConfigError(paths.val + ": holds no class folders; --devkit or --val_list must say " +
                      "which image is of which class");
  }
  SourcePtr images = open_classes(paths.val);
  if (wnids.empty()) wnids = images->class_names();
  std::vector<int32_t> labels = folder_labels(*images, Numbering(wnids));
  return relabelled(std::move(images), std::move(labels), table.names(wnids));
}

}  // namespace

ImageNetSets open_imagenet(const ImageNetPaths& paths) {
  for (const std::string& path : {paths.train, paths.val}) {
    if (!path.empty() && !fs::exists(path)) throw DataError(path + ": no such file or folder");
  }
  std::optional<Devkit> devkit;
  if (!paths.devkit.empty()) devkit = read_devkit(paths.devkit);
  const ClassTable table(devkit, paths.labels);
  std::vector<std::string> wnids;  // in label order, which is the sorted one
  ImageNetSets sets;
  if (!paths.train.empty()) {
    sets.train = open_classes(paths.train);
    wnids = sets.train->class_names();
    sets.train = relabelled(sets.train, {}, table.names(wnids));
  } else if (devkit) {
    for (const Synset& synset : devkit->classes) wnids.push_back(synset.wnid);
  }
  if (!paths.val.empty()) sets.val = open_val(paths, devkit, wnids, table);
  return sets;
}

SourcePtr with_class_names(SourcePtr source, const std::string& labels_file) {
  const std::vector<std::string> names = read_names(labels_file), classes = source->class_names();
  if (classes.empty()) return relabelled(std::move(source), {}, names);
  std::map<std::string, std::string> lines;
  for (const std::string& line : names) lines[first_word(line)] = line;
  const auto line_of = [&](const std::string& name) {
    const auto it = lines.find(name);
    if (it != lines.end()) return it->second;
    throw DataError(labels_file + ": has no line that begins with class '" + name + "'");
  };
  std::vector<std::string> out(classes.size());
  std::transform(classes.begin(), classes.end(), out.begin(), line_of);
  return relabelled(std::move(source), {}, out);
}

}  // namespace resnet
