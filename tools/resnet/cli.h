// The command line: what a command is, and how its flags are read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "resnet/base/error.h"

namespace resnet::cli {

// A gflags flag that a command takes. Its type, default and description are those of the gflags
// definition. A description may begin with a placeholder for the value, "FILE: the net"; an empty one
// hides the flag from --help.
struct Flag {
  const char* name;
  const char* help = nullptr;  // replaces the definition's description and default
  bool required = false;
};
constexpr Flag required(const char* name, const char* help = nullptr) { return {name, help, true}; }

using Operands = std::vector<std::string>;  // the arguments that are not flags

// One of the commands of `resnet`; each has a file of its own and a line in commands.cpp.
struct Command {
  const char* name;
  const char* summary;   // one line
  const char* operands;  // "IMAGE...", for --help; empty: the command takes flags only
  bool computes;         // also takes the flags about device, threads and precision
  std::vector<Flag> flags;
  const char* examples;  // lines of --help
  ExitCode (*run)(const Operands& operands);
};

// Sets the gflags of `command` from its arguments and returns the operands. Flags begin with one or two
// dashes; '-' and '_' are one inside names; values follow '=' or a blank; "--noflag" is false; "--" ends
// the flags. Throws ConfigError for unknown, repeated, incomplete and missing flags, for bad values and
// for operands that the command does not take.
Operands parse(const Command& command, const std::vector<std::string>& arguments);

// Whether the command line sets this flag.
bool given(const char* flag);

// Whether the arguments ask for help.
bool wants_help(const std::vector<std::string>& arguments);

// The texts of `resnet --help`, `resnet COMMAND --help` and `resnet --version`.
std::string help(const std::vector<const Command*>& commands);
std::string help(const Command& command);
std::string version();

// "a,b,c" -> {"a", "b", "c"}; empty text has no items.
std::vector<std::string> split_list(std::string_view text);

}  // namespace resnet::cli
