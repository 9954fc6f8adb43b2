#include "problems.h"

#include <cstdlib>
#include <set>
#include <sstream>

#include "resnet/base/error.h"

namespace resnet::cli {
namespace {

struct Place {
  std::string file;
  int line = 0;
};

// "file:12" or "file:12:3: text" -> file and line.
Place parse_place(const std::string& text) {
  std::string place = text.substr(0, text.find(": "));
  Place out;
  while (!place.empty()) {
    const size_t colon = place.rfind(':');
    if (colon == std::string::npos || colon + 1 == place.size() ||
        place.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
      break;
    }
    out.line = std::atoi(place.c_str() + colon + 1);
    place.resize(colon);
  }
  out.file = place;
  return out;
}

// The place of the layer that a problem lies in; empty if it is in none.
std::string layer_of(const Place& problem, const std::vector<std::string>& places) {
  std::string found;
  int line = 0;
  for (const std::string& text : places) {
    const Place layer = parse_place(text);
    if (layer.file != problem.file || layer.line > problem.line || layer.line < line) continue;
    found = text;
    line = layer.line;
  }
  return found;
}

}  // namespace

void throw_problems(const std::vector<std::string>& problems,
                    const std::vector<std::string>& places, const std::function<void()>& build) {
  std::string all;
  std::set<std::string> wrong_layers;
  const auto add = [&](const std::string& line) { all += (all.empty() ? "" : "\n") + line; };
  for (const std::string& problem : problems) {
    add(problem);
    wrong_layers.insert(layer_of(parse_place(problem), places));
  }
  try {
    build();
  } catch (const ConfigError& e) {
    std::istringstream errors(e.what());
    for (std::string line; std::getline(errors, line);) {
      if (!wrong_layers.contains(line.substr(0, line.find(": ")))) add(line);
    }
  } catch (const DataError&) {
    // Without its data, the net cannot be checked further.
  }
  throw ConfigError(all);
}

}  // namespace resnet::cli
