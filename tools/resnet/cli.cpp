#include "cli.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <sstream>

#include "resnet/base/nearest.h"

namespace resnet::cli {
namespace {

// Flags of every command that computes, and of every command.
constexpr std::array kComputeFlags = {
    Flag{"device"},        Flag{"threads"},        Flag{"bind"}, Flag{"math"}, Flag{"backend"},
    Flag{"deterministic"}, Flag{"cuda_libraries"}, Flag{"tune"}, Flag{"tf32"}};
constexpr std::array kLogFlags = {Flag{"quiet"},
                                  Flag{"log_dir", "DIR: also write the log to files there"},
                                  Flag{"logtostderr", ""},
                                  Flag{"alsologtostderr", ""},
                                  Flag{"minloglevel", ""},
                                  Flag{"stderrthreshold", ""},
                                  Flag{"v", ""}};

// Other names of flags: Caffe's and common short ones.
struct Alias {
  const char *name, *flag, *value_prefix;
};
constexpr std::array kAliases = {
    Alias{"gpu", "device", "cuda:"},
    Alias{"resume", "snapshot", ""},
    Alias{"batch_size", "batch", ""},
    Alias{"j", "loader_threads", ""},
    Alias{"workers", "loader_threads", ""},
    Alias{"o", "output", ""},
    Alias{"q", "quiet", ""},
};

std::vector<Flag> flags_of(const Command& command) {
  std::vector<Flag> flags = command.flags;
  if (command.computes) flags.insert(flags.end(), kComputeFlags.begin(), kComputeFlags.end());
  flags.insert(flags.end(), kLogFlags.begin(), kLogFlags.end());
  return flags;
}

gflags::CommandLineFlagInfo info_of(const Flag& flag) {
  gflags::CommandLineFlagInfo info;
  if (!gflags::GetCommandLineFlagInfo(flag.name, &info)) {
    throw InternalError(std::string("flag '") + flag.name + "' is listed but not defined");
  }
  return info;
}

bool is_flag(const std::string& argument) { return argument.size() > 1 && argument[0] == '-'; }

// "--Name=value" -> name with underscores, and the value if there is one.
struct Token {
  std::string name;
  std::optional<std::string> value;
};

Token split_flag(const std::string& argument) {
  const size_t begin = argument[1] == '-' ? 2 : 1;
  const size_t equals = argument.find('=');
  Token token{argument.substr(begin, equals - begin), {}};
  if (equals != std::string::npos) {
    token.name = argument.substr(begin, equals - begin);
    token.value = argument.substr(equals + 1);
  }
  std::replace(token.name.begin(), token.name.end(), '-', '_');
  return token;
}

// Walks the arguments of one command.
class Parser {
 public:
  Parser(const Command& command, const std::vector<std::string>& arguments)
      : command_(command), flags_(flags_of(command)), arguments_(arguments) {}

  Operands run() {
    bool only_operands = false;
    while (next_ < arguments_.size()) {
      const std::string& argument = arguments_[next_++];
      if (argument == "--" && !only_operands) {
        only_operands = true;
      } else if (is_flag(argument) && !only_operands) {
        read_flag(argument);
      } else {
        operands_.push_back(argument);
      }
    }
    check();
    return operands_;
  }

 private:
  const Flag* find(const std::string& name) const {
    for (const Flag& flag : flags_) {
      if (name == flag.name) return &flag;
    }
    return nullptr;
  }

  void read_flag(const std::string& argument) {
    Token token = split_flag(argument);
    std::string prefix;
    for (const Alias& alias : kAliases) {
      if (token.name != alias.name || find(token.name) != nullptr) continue;
      token.name = alias.flag;
      prefix = alias.value_prefix;
    }
    const Flag* flag = find(token.name);
    if (flag == nullptr && !token.value) {
      flag = find_negated(token.name);
      if (flag != nullptr) token.value = "false";
    }
    if (flag == nullptr) throw_unknown(argument, token.name);
    if (!token.value) token.value = info_of(*flag).type == "bool" ? "true" : take_value(*flag);
    set(*flag, prefix + *token.value);
  }

  // The flag that "nofoo" or "no_foo" switches off.
  const Flag* find_negated(const std::string& name) const {
    if (!name.starts_with("no")) return nullptr;
    const Flag* flag = find(name.substr(name.starts_with("no_") ? 3 : 2));
    return flag != nullptr && info_of(*flag).type == "bool" ? flag : nullptr;
  }

  std::string take_value(const Flag& flag) {
    if (next_ == arguments_.size()) {
      throw ConfigError(std::string("flag '--") + flag.name + "' needs a value");
    }
    return arguments_[next_++];
  }

  void set(const Flag& flag, const std::string& value) {
    const std::string name = std::string("--") + flag.name;
    if (!set_.insert(flag.name).second) throw ConfigError("flag '" + name + "' is given twice");
    if (gflags::SetCommandLineOption(flag.name, value.c_str()).empty()) {
      throw ConfigError("flag '" + name + "' takes a value of type " + info_of(flag).type +
                        ", not '" + value + "'");
    }
  }

  [[noreturn]] void throw_unknown(const std::string& argument, const std::string& name) const {
    std::vector<std::string> names;
    for (const Flag& flag : flags_) names.push_back(std::string("--") + flag.name);
    throw ConfigError(
        "unknown flag '" + argument.substr(0, argument.find('=')) + "'" +
        suggestion("--" + name, names,
                   std::string("; `resnet ") + command_.name + " --help` lists the flags"));
  }

  void check() const {
    for (const Flag& flag : flags_) {
      if (flag.required && !set_.contains(flag.name)) {
        throw ConfigError(std::string("flag '--") + flag.name + "' is missing; `resnet " +
                          command_.name + " --help` explains it");
      }
    }
    if (!operands_.empty() && command_.operands[0] == '\0') {
      throw ConfigError("unexpected argument '" + operands_[0] +
                        "': this command takes flags only");
    }
  }

  const Command& command_;
  const std::vector<Flag> flags_;
  const std::vector<std::string>& arguments_;
  size_t next_ = 0;
  std::set<std::string> set_;
  Operands operands_;
};

constexpr size_t kHelpColumn = 26;
constexpr size_t kHelpWidth = 98;

// `head`, then `text` in a column of its own, broken at blanks.
std::string entry(const std::string& head, const std::string& text) {
  std::string out = "  " + head;
  const std::string indent = '\n' + std::string(kHelpColumn - 1, ' ');
  if (out.size() < kHelpColumn - 1) {
    out.resize(kHelpColumn - 1, ' ');
  } else {
    out += indent;
  }
  size_t column = kHelpColumn - 1;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (column + 1 + word.size() > kHelpWidth) {
      out += indent;
      column = kHelpColumn - 1;
    }
    out += ' ' + word;
    column += 1 + word.size();
  }
  return out + '\n';
}

std::string flag_entry(const Flag& flag) {
  const gflags::CommandLineFlagInfo info = info_of(flag);
  std::string text = flag.help != nullptr ? flag.help : info.description;
  if (text.empty()) return {};
  if (info.type == "bool") {
    const bool on = info.default_value == "true";
    return entry(on ? std::string("--no") + flag.name : std::string("--") + flag.name,
                 on ? "switch off: " + text : text);
  }
  std::string place = "VALUE";
  const size_t colon = text.find(": ");
  if (colon != std::string::npos && text.find(' ') > colon) {
    place = text.substr(0, colon);
    text = text.substr(colon + 2);
  }
  if (flag.required) {
    text += " (required)";
  } else if (flag.help == nullptr && !info.default_value.empty() && info.default_value != "0") {
    text += " (default " + info.default_value + ")";
  }
  return entry(std::string("--") + flag.name + "=" + place, text);
}

template <class Flags>
std::string flag_entries(const Flags& flags) {
  std::string out;
  for (const Flag& flag : flags) out += flag_entry(flag);
  return out;
}

std::string indented(const std::string& lines) {
  std::string out;
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) out += "  " + line + '\n';
  return out;
}

}  // namespace

Operands parse(const Command& command, const std::vector<std::string>& arguments) {
  return Parser(command, arguments).run();
}

bool given(const char* flag) { return !gflags::GetCommandLineFlagInfoOrDie(flag).is_default; }

bool wants_help(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-help" || argument == "-h") return true;
  }
  return false;
}

std::string help(const std::vector<const Command*>& commands) {
  std::string out = "Trains and evaluates deep residual nets.\n\nUsage: resnet COMMAND [flags]\n\n";
  for (const Command* command : commands) out += entry(command->name, command->summary);
  out += "\n`resnet COMMAND --help` explains one command; `resnet --version` prints the version.\n";
  return out +
         "Results go to standard output, the log to standard error. Exit codes: 0 ok,\n"
         "2 usage or bad configuration, 3 bad data or weights, 4 device or memory,\n"
         "5 non-finite loss, 70 internal error, 75 interrupted but resumable.\n";
}

std::string help(const Command& command) {
  std::string out = std::string(command.summary) + "\n\nUsage: resnet " + command.name;
  for (const Flag& flag : command.flags) {
    if (flag.required) out += std::string(" --") + flag.name + "=..";
  }
  if (command.operands[0] != '\0') out += std::string(" ") + command.operands;
  out += " [flags]\n\nFlags:\n" + flag_entries(command.flags);
  if (command.computes) out += "Device:\n" + flag_entries(kComputeFlags);
  out += "Log:\n" + flag_entries(kLogFlags);
  return out + "\nExamples:\n" + indented(command.examples);
}

std::string version() { return "resnet " RESNET_VERSION "\n"; }

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    items.emplace_back(text.substr(0, comma));
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return items;
}

}  // namespace resnet::cli
