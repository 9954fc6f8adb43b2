#include "data/conversion_state.h"

#include <filesystem>
#include <sstream>

#include "resnet/base/error.h"
#include "resnet/io/files.h"

namespace resnet {
namespace {

constexpr const char* kFirstLine = "resnet conversion 1";

std::string line_of(const ConversionState& state) {
  std::ostringstream line;
  line << "state " << state.position << ' ' << state.records << ' ' << state.bad << ' ' << state.odd
       << ' ' << state.bad_bytes << ' ' << state.digest << " labels";
  for (const int64_t count : state.labels) line << ' ' << count;
  return line.str() + '\n';
}

bool parse_state(std::istringstream& line, ConversionState* state) {
  std::string word;
  line >> state->position >> state->records >> state->bad >> state->odd >> state->bad_bytes >>
      state->digest >> word;
  for (int64_t count; line >> count;) state->labels.push_back(count);
  return word == "labels" && line.eof();
}

}  // namespace

std::optional<ConversionFile> read_conversion(const std::string& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::istringstream text(read_file(path));
  std::string line;
  std::getline(text, line);
  ConversionFile file;
  bool good = line == kFirstLine;
  while (good && std::getline(text, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "description") {
      file.description = line.substr(std::min(line.size(), key.size() + 1));
    } else if (key == "identity") {
      good = static_cast<bool>(words >> file.identity);
    } else if (key == "state") {
      good = parse_state(words, &file.states.emplace_back());
    }
  }
  if (!good || file.states.empty()) {
    throw DataError(path + ": damaged; remove its folder and convert again");
  }
  return file;
}

void write_conversion(const std::string& path, const ConversionFile& file) {
  std::string text = std::string(kFirstLine) + "\ndescription " + file.description + "\nidentity " +
                     std::to_string(file.identity) + '\n';
  for (const ConversionState& state : file.states) text += line_of(state);
  write_file_atomic(path, {text}, "conversion");
}

}  // namespace resnet
