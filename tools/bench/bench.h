// What the benchmarks of this folder share: options, a clock.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>

#include "resnet/base/error.h"

namespace resnet::bench {

using Options = std::map<std::string, std::string>;

// The options with the values that --NAME=VALUE arguments give them. Throws ConfigError for one that is not among
// them; `help` says where they are described.
inline Options parse_options(int argc, char** argv, Options options, const std::string& help) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    if (argument.rfind("--", 0) != 0 || equals == std::string::npos ||
        options.count(argument.substr(2, equals - 2)) == 0) {
      throw ConfigError(std::string("unknown option '").append(argument) + "'; see " + help);
    }
    options[argument.substr(2, equals - 2)] = argument.substr(equals + 1);
  }
  return options;
}

// The value of an option that takes a whole number. Throws ConfigError.
inline int64_t number(const Options& options, const std::string& name) {
  const std::string& text = options.at(name);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw ConfigError("--" + name + " takes a number, not '" + text + "'");
  }
  return value;
}

template <typename Run>
double seconds_of(const Run& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best of at least 5 runs and `enough` seconds, after one to warm up.
template <typename Run>
double best_seconds(const Run& run, double enough = 0.25) {
  run();
  double best = INFINITY, total = 0;
  for (int i = 0; i < 5 || total < enough; ++i) {
    const double s = seconds_of(run);
    best = std::min(best, s);
    total += s;
  }
  return best;
}

}  // namespace resnet::bench
