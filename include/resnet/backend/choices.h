// Which implementation was found fastest for what: in memory, in a file of this user that outlives the
// process, and in the snapshots of earlier runs. For all backends that choose.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace resnet {

struct Choice {
  std::string name;  // of the implementation; without white space
  double microseconds = 0;
  friend bool operator==(const Choice&, const Choice&) = default;
};

// The file holds a header and one line an entry, "<key> TAB <name> TAB <microseconds>", the oldest first.
// Several processes may use it at once: it is read and replaced under a lock, and appears complete or not
// at all. What cannot be read or written costs the entries, never the run: `log` gets one line.
class Choices {
 public:
  using Log = std::function<void(const std::string&)>;
  static constexpr size_t kCapacity = 4096;  // entries of a file; older ones make room

  // An empty path keeps choices in memory only. The file and its folder are made when needed.
  explicit Choices(std::filesystem::path file = {}, Log log = {}, size_t capacity = kCapacity);

  // What is known of a key.
  std::optional<Choice> find(const std::string& key);
  // Remembers a choice, in the file, too. Keys hold no tab or line break; throws InternalError.
  void add(const std::string& key, const Choice& choice);

 private:
  using Entries = std::vector<std::pair<std::string, Choice>>;
  Entries read();
  void write(const Entries& entries);
  void report(const std::string& problem);

  std::filesystem::path file_;
  Log log_;
  size_t capacity_;
  std::mutex mutex_;
  bool loaded_ = false, reported_ = false;
  std::map<std::string, Choice> known_;
};

// The folder of such files: `wanted`, or if that is empty $XDG_CACHE_HOME/resnet, or ~/.cache/resnet; empty
// when there is none.
std::filesystem::path choices_folder(const std::string& wanted);
// "cudnn-NVIDIA H200-9.19.0" -> "cudnn-NVIDIA_H200-9.19.0.txt"
std::string choices_file(const std::string& name);

// Implementations that lines of a snapshot, "<op> [bias] [sum] [relu] <shape>: <names>", give for an op
// ("Convolution forward k3x3 s1x1 p1x1 o64") and the shape of its first operand: the words that begin with
// `family` ("cudnn:").
std::vector<std::string> recorded(const std::vector<std::string>& lines, const std::string& op,
                                  const std::string& shape, const std::string& family);
// Implementations that lines "<key>: <names>" give for exactly this key: all words.
std::vector<std::string> recorded(const std::vector<std::string>& lines, const std::string& key);

}  // namespace resnet
