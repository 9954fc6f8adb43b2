// `resnet COMMAND [flags]`: finds the command, reads its flags, runs it, and turns what went wrong into
// one line and an exit code.
#include <glog/logging.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
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

// Threads of GNU OpenMP that have nothing to do spin for milliseconds before they sleep, which takes the
// cores from other runs: two trainings at once had 31 % of the single rate each. With a spin of about
// 0.2 ms they have 48 %, and one alone is as fast. libgomp reads the setting when it is loaded, so the
// program starts itself again, unless the user has chosen.
void limit_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (getauxval(AT_BASE) == 0)
    return;  // started through the dynamic loader, which is then /proc/self/exe
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  if (unknown) return;
  setenv("GOMP_SPINCOUNT", "10000", 0);
  execv(program.c_str(), argv);  // returns only if it failed, which is only slower
}

}  // namespace
}  // namespace resnet::cli

int main(int argc, char** argv) {
  resnet::cli::limit_spinning(argv);
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of write(), with a message
  const auto code = resnet::cli::run(std::vector<std::string>(argv + 1, argv + argc));
  google::FlushLogFiles(google::INFO);
  return static_cast<int>(code);
}
