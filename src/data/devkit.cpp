// ImageNet's devkit.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

#include "data/image_names.h"
#include "data/inflate.h"
#include "data/mat_file.h"
#include "data/tar_reader.h"
#include "resnet/data/imagenet.h"
#include "resnet/io/files.h"

namespace fs = std::filesystem;

namespace resnet {
namespace {

constexpr std::string_view kMeta = "meta.mat";
constexpr std::string_view kTruth = "ILSVRC2012_validation_ground_truth.txt";

// A file of the devkit: where it was found, and its content.
struct Part {
  std::string path, content;
};
using Parts = std::map<std::string_view, Part>;

bool is_wanted(std::string_view name) { return name == kMeta || name == kTruth; }

void add_part(std::string_view name, Part part, Parts* parts) {
  parts->emplace(name == kMeta ? kMeta : kTruth, std::move(part));
}

Parts parts_of_folder(const std::string& folder) {
  Parts parts;
  std::error_code failed;
  for (auto it = fs::recursive_directory_iterator(folder, failed); !failed && it != end(it);
       it.increment(failed)) {
    const std::string path = it->path().string();
    if (is_wanted(name_part(path))) add_part(name_part(path), {path, read_file(path)}, &parts);
  }
  if (failed) throw DataError(folder + ": " + failed.message());
  return parts;
}

Parts parts_of_tar(const std::string& path) {
  std::string bytes = read_file(path);
  const auto head = reinterpret_cast<const uint8_t*>(bytes.data());
  if (compression_of({head, std::min<size_t>(bytes.size(), 8)}) == "gzip") {
    bytes = inflated(path, bytes);
  }
  const auto read = [&bytes](uint64_t offset, std::span<uint8_t> out) {
    return bytes.copy(reinterpret_cast<char*>(out.data()), out.size(), offset);
  };
  Parts parts;
  TarReader tar(path, read, 0, bytes.size());
  while (const auto entry = tar.next()) {
    const std::string_view name = name_part(entry->name);
    if (entry->kind != TarEntry::Kind::file || !is_wanted(name)) continue;
    add_part(name, {path + ":" + entry->name, bytes.substr(entry->offset, entry->size)}, &parts);
  }
  return parts;
}

const Part& find_part(const Parts& parts, std::string_view name, const std::string& devkit) {
  const auto it = parts.find(name);
  if (it == parts.end()) {
    throw DataError(devkit + ": holds no " + std::string(name) +
                    "; give ILSVRC2012_devkit_t12, its folder or its tar.gz");
  }
  return it->second;
}

// The leaves of the hierarchy. The inner synsets, which have IDs as well, are no classes.
std::vector<Synset> parse_meta(const Part& part) {
  std::map<std::string, MatArray> variables = parse_mat(part.path, part.content);
  const auto& fields = variables["synsets"].fields;
  const auto column = [&](const char* name) -> const std::vector<MatArray>& {
    const auto it = fields.find(name);
    if (it == fields.end()) throw DataError(part.path + ": no field synsets." + name);
    return it->second;
  };
  const auto& ids = column("ILSVRC2012_ID");
  const auto& wnids = column("WNID");
  const auto& words = column("words");
  const auto& children = column("num_children");
  const auto number = [&](const MatArray& array) {
    if (array.numbers.size() != 1) throw DataError(part.path + ": damaged list of synsets");
    return static_cast<int64_t>(array.numbers[0]);
  };
  if (wnids.size() != ids.size() || words.size() != ids.size() || children.size() != ids.size()) {
    throw DataError(part.path + ": damaged list of synsets");
  }
  std::vector<Synset> classes;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (number(children[i]) == 0) {
      classes.push_back({number(ids[i]), wnids[i].text, words[i].text});
    }
  }
  if (classes.empty()) throw DataError(part.path + ": lists no classes");
  std::sort(classes.begin(), classes.end(),
            [](const Synset& a, const Synset& b) { return a.wnid < b.wnid; });
  return classes;
}

std::vector<int64_t> parse_truth(const Part& part, const std::vector<Synset>& classes) {
  std::set<int64_t> known;
  for (const Synset& synset : classes) known.insert(synset.id);
  std::vector<int64_t> ids;
  std::istringstream text(part.content);
  int64_t line_number = 0;
  for (std::string line; std::getline(text, line);) {
    ++line_number;
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
    if (line.empty()) continue;
    int64_t id = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), id);
    if (error != std::errc() || end != line.data() + line.size() || !known.contains(id)) {
      throw DataError(part.path + ":" + std::to_string(line_number) + ": '" + line.substr(0, 40) +
                      "' is not the ILSVRC2012_ID of a class");
    }
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

Devkit read_devkit(const std::string& path) {
  if (!fs::exists(path)) throw DataError(path + ": no such file or folder");
  const Parts parts = fs::is_directory(path) ? parts_of_folder(path) : parts_of_tar(path);
  Devkit devkit;
  devkit.name = path;
  devkit.classes = parse_meta(find_part(parts, kMeta, path));
  devkit.validation_ids = parse_truth(find_part(parts, kTruth, path), devkit.classes);
  return devkit;
}

}  // namespace resnet
