#include "data/image_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <fstream>
#include <optional>

#include "resnet/base/error.h"
#include "resnet/data/image.h"

namespace resnet {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::array<std::string_view, 10> kExtensions = {"jpg", "jpeg", "png",  "bmp", "ppm",
                                                          "pgm", "pnm",  "webp", "tif", "tiff"};

std::string_view trimmed(std::string_view text) {
  const size_t end = text.find_last_not_of(kBlanks);
  return text.substr(0, end == std::string_view::npos ? 0 : end + 1);
}

std::optional<LabelledName> parse_line(std::string_view line) {
  const size_t blank = line.find_last_of(kBlanks);
  if (blank == std::string_view::npos) return std::nullopt;
  const std::string_view name = trimmed(line.substr(0, blank)), digits = line.substr(blank + 1);
  int32_t label = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), label);
  const bool is_number = error == std::errc() && end == digits.data() + digits.size();
  if (name.empty() || !is_number || label < 0) return std::nullopt;
  return LabelledName{std::string(name), label};
}

}  // namespace

bool is_image_name(std::string_view path) {
  const std::string_view name = name_part(path);
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.starts_with('.')) return false;
  std::string extension(name.substr(dot + 1));
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kExtensions.begin(), kExtensions.end(), extension) != kExtensions.end();
}

std::string_view name_part(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

std::string clean_path(std::string_view path) {
  std::string out;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (!part.empty() && part != ".") {
      if (!out.empty()) out += '/';
      out += part;
    }
    begin = end + 1;
  }
  return out;
}

void NameTable::add(std::string_view name) {
  text_ += name;
  ends_.push_back(text_.size());
}

std::vector<LabelledName> read_label_list(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw DataError(path + ": cannot be read");
  std::vector<LabelledName> lines;
  size_t number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    const std::string_view text = trimmed(line);
    if (text.empty()) continue;
    auto parsed = parse_line(text);
    if (!parsed) {
      throw DataError(path + ":" + std::to_string(number) + ": '" +
                      std::string(text.substr(0, 80)) +
                      "' is not a name and a label (a number from 0)");
    }
    lines.push_back(std::move(*parsed));
  }
  if (lines.empty()) throw DataError(path + ": the list is empty");
  return lines;
}

}  // namespace resnet
