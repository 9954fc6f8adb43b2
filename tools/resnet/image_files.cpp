#include "image_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

#include "flags.h"
#include "resnet/base/error.h"
#include "resnet/data/image.h"
#include "resnet/data/source.h"
#include "resnet/io/files.h"

namespace resnet::cli {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> images_below(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::error_code unknown;
    if (entry->is_regular_file(unknown) && is_image_name(entry->path().native())) {
      paths.push_back(entry->path());
    }
  }
  if (error) throw DataError(folder + ": cannot be read: " + error.message());
  if (paths.empty()) throw DataError(folder + ": holds no images (.jpg, .png, ..); check the path");
  std::sort(paths.begin(), paths.end());
  return paths;
}

bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// The path in a line of a list: all of it if there is such a file, else what is before a label.
std::string path_of_line(const std::string& line, const std::string& base_dir) {
  std::string whole = resolve_path(line, base_dir);
  const size_t blank = line.find_last_of(" \t");
  if (blank == std::string::npos || fs::exists(whole)) return whole;
  if (!is_number(std::string_view(line).substr(blank + 1))) return whole;
  const size_t end = line.find_last_not_of(" \t", blank);
  return end == std::string::npos ? whole : resolve_path(line.substr(0, end + 1), base_dir);
}

[[noreturn]] void fail_without_file(const std::string& list, int64_t line,
                                    const std::string& path) {
  throw DataError(list + ":" + std::to_string(line) + ": there is no file " + path);
}

void add_list(const std::string& list, std::vector<std::string>* paths) {
  std::ifstream file(list);
  if (!file) throw DataError(list + ": cannot be read");
  int64_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") == std::string::npos) continue;
    const std::string path = path_of_line(line, directory_of(list));
    if (!fs::exists(path)) fail_without_file(list, number, path);
    paths->push_back(path);
  }
}

}  // namespace

std::vector<std::string> image_paths(const std::vector<std::string>& operands) {
  std::vector<std::string> paths;
  for (const std::string& operand : operands) {
    if (fs::is_directory(operand)) {
      const std::vector<std::string> below = images_below(operand);
      paths.insert(paths.end(), below.begin(), below.end());
    } else if (fs::exists(operand)) {
      paths.push_back(operand);
    } else {
      throw DataError(operand + ": there is no such file");
    }
  }
  if (!FLAGS_list.empty()) add_list(FLAGS_list, &paths);
  if (paths.empty()) {
    throw ConfigError("no images; name files or folders, or a file of their paths by --list");
  }
  return paths;
}

}  // namespace resnet::cli
