// `resnet COMMAND [flags]`: finds the command, reads its flags, runs it, and turns what went wrong into
// one line and an exit code.
#include <glog/logging.h>

#include <algorithm>
#include <csignal>
#include <exception>
#include <iostream>
#include <new>

#include "commands.h"
#include "logging.h"

namespace resnet::cli {
namespace {

// Every line of `what` on stderr, so that each of several errors says who found it.
ExitCode fail(const std::string& who, const std::string& what, ExitCode code) {
  size_t begin = 0;
  while (begin <= what.size()) {
    const size_t end = std::min(what.find('\n', begin), what.size());
    if (end > begin) std::cerr << who << ": " << what.substr(begin, end - begin) << '\n';
    begin = end + 1;
  }
  return code;
}

ExitCode print(const std::string& text) {
  std::cout << text;
  return ExitCode::ok;
}

ExitCode run(const Command& command, const std::vector<std::string>& arguments) {
  if (wants_help(arguments)) return print(help(command));
  const Operands operands = parse(command, arguments);
  start_logging();
  const ExitCode code = command.run(operands);
  if (!std::cout.flush()) throw DataError("cannot write to standard output");
  return code;
}

ExitCode run(std::vector<std::string> arguments) {
  if (arguments.empty()) {
    std::cerr << help(commands());
    return ExitCode::usage;
  }
  std::string name = arguments[0];
  arguments.erase(arguments.begin());
  if (name == "--version" || name == "-version" || name == "version") return print(version());
  if (wants_help({name}) || (name == "help" && arguments.empty())) return print(help(commands()));
  std::string who = "resnet";
  try {
    if (name == "help") return print(help(find_command(arguments[0])));
    const Command& command = find_command(name);
    who += " " + name;
    return run(command, arguments);
  } catch (const Error& e) {
    return fail(who, e.what(), e.code());
  } catch (const std::bad_alloc&) {
    return fail(who, "out of memory; use a smaller batch", ExitCode::device);
  } catch (const std::exception& e) {
    return fail(who, std::string("internal error: ") + e.what(), ExitCode::internal);
  }
}

}  // namespace
}  // namespace resnet::cli

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), with a message
  const auto code = resnet::cli::run(std::vector<std::string>(argv + 1, argv + argc));
  google::FlushLogFiles(google::INFO);
  return static_cast<int>(code);
}
