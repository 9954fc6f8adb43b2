#include "resnet/backend/choices.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr const char* kHeader = "resnet choices 1";

// Holds an exclusive lock on a file beside the one that is replaced, as long as it lives.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path)
      : file_(open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644)) {
    if (file_ >= 0) flock(file_, LOCK_EX);
  }
  ~FileLock() {
    if (file_ >= 0) close(file_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int file_;
};

std::optional<std::pair<std::string, Choice>> parse(const std::string& line) {
  const size_t first = line.find('\t');
  const size_t second = first == std::string::npos ? first : line.find('\t', first + 1);
  if (second == std::string::npos || first == 0 || second == first + 1) return std::nullopt;
  Choice choice{line.substr(first + 1, second - first - 1), 0};
  const char* const end = line.data() + line.size();
  const auto [at, error] = std::from_chars(line.data() + second + 1, end, choice.microseconds);
  if (error != std::errc() || at != end || !(choice.microseconds >= 0)) return std::nullopt;
  return std::pair{line.substr(0, first), choice};
}

}  // namespace

Choices::Choices(std::filesystem::path file, Log log, size_t capacity)
    : file_(std::move(file)), log_(std::move(log)), capacity_(std::max<size_t>(capacity, 1)) {}

void Choices::report(const std::string& problem) {
  if (!reported_ && log_) log_(problem);
  reported_ = true;
}

Choices::Entries Choices::read() {
  Entries entries;
  std::error_code ignored;
  if (file_.empty() || !std::filesystem::exists(file_, ignored)) return entries;
  std::ifstream in(file_);
  std::string line;
  if (!std::getline(in, line) || line != kHeader) {
    report(file_.string() + " is no file of kernel choices: it is ignored and will be replaced");
    return entries;
  }
  while (std::getline(in, line)) {
    auto entry = parse(line);
    if (!entry) {
      report(file_.string() + " is damaged: what cannot be read is ignored");
      continue;
    }
    entries.push_back(std::move(*entry));
  }
  return entries;
}

void Choices::write(const Entries& entries) {
  const std::filesystem::path part = file_.string() + "." + std::to_string(getpid()) + ".part";
  std::ofstream out(part, std::ios::trunc);
  out << kHeader << '\n';
  for (const auto& [key, choice] : entries) {
    out << key << '\t' << choice.name << '\t' << choice.microseconds << '\n';
  }
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(part, file_, error);
  if (!out || error) {
    report("cannot write " + file_.string() + ": kernel choices are not kept for later runs");
    std::filesystem::remove(part, error);
  }
}

std::optional<Choice> Choices::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  if (!loaded_) {
    loaded_ = true;
    for (auto& [name, choice] : read()) known_[name] = choice;
  }
  const auto found = known_.find(key);
  if (found == known_.end()) return std::nullopt;
  return found->second;
}

void Choices::add(const std::string& key, const Choice& choice) {
  if (key.empty() || key.find_first_of("\t\n") != std::string::npos || choice.name.empty() ||
      choice.name.find_first_of(" \t\n") != std::string::npos) {
    throw InternalError("a kernel choice that cannot be written: '" + key + "'");
  }
  const std::lock_guard lock(mutex_);
  known_[key] = choice;
  if (file_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(file_.parent_path(), ignored);
  const FileLock file_lock(file_.string() + ".lock");
  Entries entries = read();  // with what other processes added
  std::erase_if(entries, [&](const auto& entry) { return entry.first == key; });
  entries.emplace_back(key, choice);
  if (entries.size() > capacity_) {
    entries.erase(entries.begin(), entries.end() - static_cast<std::ptrdiff_t>(capacity_));
  }
  write(entries);
}

std::filesystem::path choices_folder(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::filesystem::path(value == nullptr ? "" : value);
  };
  // The XDG specification has relative paths ignored.
  if (const auto cache = variable("XDG_CACHE_HOME"); cache.is_absolute()) return cache / "resnet";
  if (const auto home = variable("HOME"); home.is_absolute()) return home / ".cache" / "resnet";
  return {};
}

std::string choices_file(const std::string& name) {
  std::string file = name;
  for (char& c : file) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.';
    if (!plain) c = '_';
  }
  return file + ".txt";
}

std::vector<std::string> recorded(const std::vector<std::string>& lines, const std::string& op,
                                  const std::string& shape, const std::string& family) {
  std::vector<std::string> names;
  for (const std::string& line : lines) {
    if (!line.starts_with(op)) continue;
    const size_t colon = line.find(": ", op.size());
    if (colon == std::string::npos) continue;
    // Between op and colon: what is fused, then the shape.
    std::istringstream middle(line.substr(op.size(), colon - op.size()));
    std::string word, last;
    bool fits = line[op.size()] == ' ';
    while (middle >> word) {
      if (!last.empty() && last != "bias" && last != "sum" && last != "relu") fits = false;
      last = word;
    }
    if (!fits || last != shape) continue;
    std::istringstream rest(line.substr(colon + 2));
    while (rest >> word) {
      if (word.starts_with(family)) names.push_back(word);
    }
  }
  return names;
}

std::vector<std::string> recorded(const std::vector<std::string>& lines, const std::string& key) {
  std::vector<std::string> names;
  for (const std::string& line : lines) {
    if (!line.starts_with(key + ": ")) continue;
    std::istringstream rest(line.substr(key.size() + 2));
    for (std::string word; rest >> word;) names.push_back(word);
  }
  return names;
}

}  // namespace resnet
