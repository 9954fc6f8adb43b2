// Names of image files, and lists of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace resnet {

// "a/b/c.jpg" -> "c.jpg".
std::string_view name_part(std::string_view path);

// Paths that differ only by "./" and doubled slashes become one: "./a//b.jpg" -> "a/b.jpg".
std::string clean_path(std::string_view path);

// Many names without an allocation for each.
class NameTable {
 public:
  void add(std::string_view name);
  std::string_view operator[](size_t i) const {
    return std::string_view(text_).substr(ends_[i], ends_[i + 1] - ends_[i]);
  }
  size_t size() const { return ends_.size() - 1; }

 private:
  std::string text_;
  std::vector<uint64_t> ends_{0};
};

// A line "NAME LABEL" of a text file, as Caffe's lists have it.
struct LabelledName {
  std::string name;
  int32_t label;
};

// The lines of a list. The label follows the last blank, since names may hold blanks; lines may end
// with CR LF; empty ones are skipped. Throws DataError naming file and line, or an empty list.
std::vector<LabelledName> read_label_list(const std::string& path);

}  // namespace resnet
