// Independent software for tests: Python with packages from PyPI, where it is there.
#pragma once

#include <string>
#include <vector>

namespace resnet::test {

// The interpreter that tests use: $RESNET_PYTHON, else build/python/bin/python of this repository (made by
// tools/setup.sh --python), else python3. `skip` says why a test cannot run, empty when all packages import:
//   const Python python = python_with({"onnx", "onnxruntime"});
//   if (!python.skip.empty()) GTEST_SKIP() << python.skip;
struct Python {
  std::string path, skip;
};
Python python_with(const std::vector<std::string>& packages);

struct PythonResult {
  int code = -1;
  std::string output;  // stdout and stderr
};
// tests/exchange/NAME
std::string script(const std::string& name);
// Runs the interpreter with these arguments: a script and its own.
PythonResult run_python(const Python& python, const std::vector<std::string>& arguments);

}  // namespace resnet::test
