// Choosing backends by name, and loading them: the seam that a backend of somebody else uses.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "backends_under_test.h"
#include "resnet/base/error.h"
#include "runner.h"
#include "test_paths.h"

namespace resnet::testing {
namespace {

// Text of the error that make_backend throws.
template <class E>
std::string error(const std::string& name) {
  try {
    make_backend(name);
  } catch (const E& e) {
    return e.what();
  }
  return "no such error";
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// A shared object made by the system's C compiler; empty when there is none.
std::string compile_module(const std::string& name, const std::string& source) {
  const std::string base = ::testing::TempDir() + name;
  std::ofstream(base + ".c") << source;
  const std::string command = "cc -shared -fPIC -o " + base + ".so " + base + ".c 2>/dev/null";
  return std::system(command.c_str()) == 0 ? base + ".so" : "";
}

TEST(MakeBackend, KnowsItsNames) {
  EXPECT_EQ(backend_names(), (std::vector<std::string>{"onednn", "reference"}));
  EXPECT_EQ(make_backend("reference")->name(), "reference");
  EXPECT_EQ(make_backend("onednn")->name(), "onednn");
  EXPECT_EQ(make_backend("cpu")->name(), "onednn");
  EXPECT_FALSE(make_backend("cpu")->description().empty());
}

TEST(MakeBackend, ExplainsItsErrors) {
  EXPECT_EQ(error<ConfigError>("tpu"),
            "unknown backend 'tpu'; use onednn, reference, cpu, cuda[:N] or the path of a loadable "
            "backend (*.so)");
  EXPECT_EQ(error<DeviceError>("/nowhere/x.so"), "backend '/nowhere/x.so' does not exist");
  const std::string text = ::testing::TempDir() + "text.so";
  std::ofstream(text) << "not a shared object";
  EXPECT_TRUE(contains(error<DeviceError>(text), "cannot load backend"));
}

TEST(MakeBackend, SaysWhichLibraryAModuleMisses) {
  const std::string needed = ::testing::TempDir() + "libcudnn.so.99",
                    base = ::testing::TempDir() + "needy";
  std::ofstream(base + ".c") << "int needed(void); int use(void) { return needed(); }";
  std::ofstream(base + "_needed.c") << "int needed(void) { return 1; }";
  const std::string command = "cc -shared -fPIC -Wl,-soname,libcudnn.so.99 -o " + needed + " " +
                              base + "_needed.c && cc -shared -fPIC -o " + base + ".so " + base +
                              ".c " + needed;
  if (std::system((command + " 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no C compiler";
  std::filesystem::remove(needed);
  EXPECT_EQ(
      error<DeviceError>(base + ".so"),
      "cannot load backend '" + base +
          ".so': it needs libcudnn.so.99, which is not found; install cuDNN 9, or name the folder "
          "where it lies by --cuda_libraries=DIR");
}

TEST(MakeBackend, SaysThatThereIsNoDriver) {
  EXPECT_EQ(error<ConfigError>("cuda:x"),
            "'cuda:x' names no GPU; use cuda or cuda:N with a number N from 0");
  EXPECT_NE(error<ConfigError>("cuda:").find("names no GPU"), std::string::npos);
  const std::string obstacle = cuda_obstacle();
  if (obstacle.empty()) GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(error<DeviceError>("cuda"), obstacle);
  EXPECT_EQ(error<DeviceError>("cuda:1"), obstacle);
  const std::string reason = std::filesystem::exists(backend_dir() + "/cuda.so")
                                 ? "this machine has no NVIDIA driver (libcuda.so.1 is not found)"
                                 : "this build has no CUDA backend";
  EXPECT_TRUE(contains(obstacle, reason)) << obstacle;
}

TEST(MakeBackend, RefusesForeignModules) {
  const std::string empty = compile_module("empty", "int nothing;");
  if (empty.empty()) GTEST_SKIP() << "no C compiler";
  EXPECT_TRUE(contains(error<DeviceError>(empty), "has no entry resnet_build_id"));
  const std::string old =
      compile_module("old", "const char* resnet_build_id(void) { return \"0.0.0-old\"; }");
  EXPECT_TRUE(
      contains(error<DeviceError>(old), "was built for interface 0.0.0-old, this program has "));
  const std::string half = compile_module(
      "half", std::string("const char* resnet_build_id(void) { return \"") + build_id() + "\"; }");
  EXPECT_TRUE(contains(error<DeviceError>(half), "has no entry resnet_backend_v1"));
}

TEST(LoadedBackend, GivesTheBitsOfTheLinkedOne) {
  Backend& loaded = *backend_under_test("reference_module").backend;
  for (const Case& c : small_cases()) {
    SCOPED_TRACE(c.name);
    Runner a(loaded, c), b(reference_backend(), c);
    for (Pass pass : Runner::passes(c)) {
      const auto x = a.run(pass), y = b.run(pass);
      for (size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(equal(x[i], y[i])) << name_of(pass);
    }
  }
}

TEST(LoadedBackend, LetsExceptionsCross) {
  Backend& loaded = *backend_under_test("reference_module").backend;
  const OpDesc bad{Relu{}, Pass::backward_data, {}, {}, {}};
  EXPECT_FALSE(loaded.supports(bad).ok);
  EXPECT_THROW(loaded.compile(bad), DeviceError);
}

TEST(LoadedBackend, IsFoundByARelativePath) {
  const std::string path = std::filesystem::relative(module_path());
  EXPECT_EQ(make_backend(path)->name(), "reference");
}

}  // namespace
}  // namespace resnet::testing
