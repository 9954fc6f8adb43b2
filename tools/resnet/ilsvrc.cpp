#include "ilsvrc.h"

#include <glog/logging.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

constexpr int64_t kMostId = 1000;

// A line of the file: an ID, with a WordNet ID in front or without.
struct Line {
  std::string wnid;
  int64_t id = 0;
};

int64_t parse_id(const std::string& word, const std::string& where) {
  int64_t id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 1 || id > kMostId) {
    throw DataError(where + ": '" + word + "' is no ILSVRC ID from 1 to 1000");
  }
  return id;
}

std::vector<Line> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw DataError(path + ": cannot be read");
  std::vector<Line> lines;
  int64_t number = 0;
  for (std::string text; std::getline(file, text);) {
    const std::string where = path + ":" + std::to_string(++number);
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) continue;
    if (words.size() > 2) throw DataError(where + ": neither 'WNID ID' nor 'ID'");
    if (!lines.empty() && lines[0].wnid.empty() != (words.size() == 1)) {
      throw DataError(where + ": some lines have a WordNet ID and some have not");
    }
    lines.push_back({words.size() == 2 ? words[0] : "", parse_id(words.back(), where)});
  }
  if (lines.empty()) throw DataError(path + ": empty file");
  return lines;
}

std::vector<int64_t> ids_by_label(const std::vector<Line>& lines, const std::string& path,
                                  int64_t classes) {
  if (static_cast<int64_t>(lines.size()) != classes) {
    throw ConfigError(path + ": has " + std::to_string(lines.size()) + " IDs, the net has " +
                      std::to_string(classes) + " classes; give one for each label");
  }
  std::vector<int64_t> ids;
  bool counting = true;
  for (const Line& line : lines) {
    ids.push_back(line.id);
    counting = counting && line.id == static_cast<int64_t>(ids.size());
  }
  if (counting) {
    LOG(WARNING) << path << ": every ID is the label plus 1, which is right only if the net was "
                 << "trained with labels in ILSVRC's own order, not in that of sorted WordNet IDs";
  }
  return ids;
}

[[noreturn]] void fail_without_id(const std::string& path, int64_t label, const std::string& name) {
  throw ConfigError(path + ": no ID for label " + std::to_string(label) + ", '" + name +
                    "'; the classes' names (--labels) must begin with the file's WordNet IDs");
}

std::vector<int64_t> ids_by_wnid(const std::vector<Line>& lines, const std::string& path,
                                 const ClassNames& names, int64_t classes) {
  std::map<std::string, int64_t> by_wnid;
  for (const Line& line : lines) {
    if (by_wnid.emplace(line.wnid, line.id).second) continue;
    throw DataError(path + ": '" + line.wnid + "' has two IDs");
  }
  std::vector<int64_t> ids;
  for (int64_t label = 0; label < classes; ++label) {
    const std::string name = names.of(label);
    const auto found = by_wnid.find(name.substr(0, name.find_first_of(" \t,")));
    if (found == by_wnid.end()) fail_without_id(path, label, name);
    ids.push_back(found->second);
  }
  return ids;
}

void check_distinct(std::vector<int64_t> ids, const std::string& path) {
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice == ids.end()) return;
  throw ConfigError(path + ": ID " + std::to_string(*twice) + " belongs to two classes");
}

}  // namespace

std::vector<int64_t> ilsvrc_ids(const std::string& path, const ClassNames& names, int64_t classes) {
  const std::vector<Line> lines = read_lines(path);
  std::vector<int64_t> ids = lines[0].wnid.empty() ? ids_by_label(lines, path, classes)
                                                   : ids_by_wnid(lines, path, names, classes);
  check_distinct(ids, path);
  return ids;
}

std::vector<std::string> in_submission_order(std::vector<std::string> paths) {
  const auto before = [](const std::string& a, const std::string& b) {
    return base_name(a) < base_name(b);
  };
  std::sort(paths.begin(), paths.end(), before);
  for (size_t i = 1; i < paths.size(); ++i) {
    if (base_name(paths[i - 1]) != base_name(paths[i])) continue;
    throw ConfigError(paths[i - 1] + " and " + paths[i] +
                      " have the same name; a submission goes by file names");
  }
  return paths;
}

std::string submission_line(std::span<const Guess> guesses, const std::vector<int64_t>& ids) {
  std::string line;
  for (const Guess& guess : guesses) {
    line += (line.empty() ? "" : " ") + std::to_string(ids[static_cast<size_t>(guess.label)]);
  }
  return line + "\n";
}

}  // namespace resnet::cli
