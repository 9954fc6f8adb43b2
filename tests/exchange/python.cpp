#include "exchange/python.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "test_paths.h"

namespace resnet::test {
namespace {

std::string quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

std::string interpreter() {
  if (const char* const chosen = std::getenv("RESNET_PYTHON")) return chosen;
  const std::string own = testing::source_dir() + "/build/python/bin/python";
  return std::filesystem::exists(own) ? own : "python3";
}

}  // namespace

std::string script(const std::string& name) {
  return testing::source_dir() + "/tests/exchange/" + name;
}

PythonResult run_python(const Python& python, const std::vector<std::string>& arguments) {
  std::string command = quoted(python.path);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  PythonResult result;
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return result;
  std::array<char, 4096> buffer;
  for (size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    result.output.append(buffer.data(), n);
  }
  const int status = pclose(pipe);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

Python python_with(const std::vector<std::string>& packages) {
  Python python{interpreter(), ""};
  std::string missing;
  for (const std::string& package : packages) {
    if (run_python(python, {"-c", "import " + package}).code == 0) continue;
    missing += (missing.empty() ? "" : ", ") + package;
  }
  if (!missing.empty()) {
    python.skip = python.path + " has no " + missing +
                  " (tools/setup.sh --python, or RESNET_PYTHON names an interpreter that has)";
  }
  return python;
}

}  // namespace resnet::test
