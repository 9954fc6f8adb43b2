// The one list of backends. A further one is a folder beside this file and a line below.
#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "backends/onednn/backend.h"
#include "backends/reference/backend.h"
#include "resnet/base/error.h"

namespace resnet {
namespace {

struct Entry {
  const char* name;
  std::unique_ptr<Backend> (*make)();
};
constexpr Entry kBackends[] = {{"onednn", make_onednn_backend},
                               {"reference", make_reference_backend}};
constexpr Entry kAliases[] = {{"cpu", make_onednn_backend}};

template <class Function>
Function entry(void* module, const std::string& path, const char* symbol) {
  auto function = reinterpret_cast<Function>(dlsym(module, symbol));
  if (function == nullptr) {
    throw DeviceError("'" + path + "' is not a backend of resnet: it has no entry " + symbol);
  }
  return function;
}

// What dlopen() said, and what to do about a library that is not found.
std::string loading_error(const std::string& path) {
  const std::string said = dlerror();
  const size_t end = said.find(": cannot open shared object file");
  if (end == std::string::npos) return "cannot load backend '" + path + "': " + said;
  const std::string library = said.substr(0, end);
  std::string error =
      "cannot load backend '" + path + "': it needs " + library + ", which is not found; ";
  if (library.starts_with("libcudnn")) {
    error += "install cuDNN 9";
  } else if (library.starts_with("libcublas")) {
    error += "install cuBLAS of the CUDA toolkit";
  } else {
    return error + "install it, or name its folder in LD_LIBRARY_PATH";
  }
  return error + ", or name the folder where it lies by --cuda_libraries=DIR";
}

// The module stays loaded until the process ends: kernels that outlive the backend point into it.
// `device` is the number of the device, for modules with an entry for it.
std::unique_ptr<Backend> load(const std::string& path, int device) {
  if (!std::filesystem::exists(path)) {
    throw DeviceError("backend '" + path + "' does not exist");
  }
  // Absolute, because dlopen() would look for a bare name in the system's folders.
  void* module = dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) throw DeviceError(loading_error(path));
  const std::string id = entry<const char* (*)()>(module, path, "resnet_build_id")();
  if (id != build_id()) {
    throw DeviceError("backend '" + path + "' was built for interface " + id +
                      ", this program has " + build_id() + "; rebuild the backend");
  }
  if (device != 0) {
    const auto make = entry<Backend* (*)(int)>(module, path, "resnet_backend_v1_of");
    return std::unique_ptr<Backend>(make(device));
  }
  return std::unique_ptr<Backend>(entry<Backend* (*)()>(module, path, "resnet_backend_v1")());
}

constexpr const char* kCuda = "cuda";

// The folder of loadable backends, which lies beside this library.
std::filesystem::path module_folder() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&load), &info) == 0) return "resnet";
  const std::filesystem::path library = info.dli_fname;
  std::error_code ignored;
  for (const char* folder : {"resnet", "../lib/resnet"}) {
    const auto candidate = library.parent_path() / folder;
    if (std::filesystem::is_directory(candidate, ignored)) return candidate;
  }
  return library.parent_path() / "resnet";
}

bool has_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  dlclose(driver);
  return true;
}

// "libcudnn.so.9" of a prefix "libcudnn.so."
bool is_version_of(const std::string& name, const std::string& prefix) {
  return name.starts_with(prefix) && name.size() > prefix.size() &&
         name.find_first_not_of("0123456789", prefix.size()) == std::string::npos;
}

// Loads the libraries that the module needs from $RESNET_CUDA_LIBRARIES, folders with colons between them,
// so that the loader finds them by their names later. Throws ConfigError, DeviceError.
void preload_cuda_libraries() {
  const char* value = std::getenv("RESNET_CUDA_LIBRARIES");
  if (value == nullptr || *value == '\0') return;
  // Each after those that it needs.
  constexpr const char* kLibraries[] = {"libcublasLt.so.", "libcublas.so.", "libnvrtc.so.",
                                        "libcudnn.so."};
  std::vector<std::filesystem::path> files;
  std::istringstream folders(value);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
      files.push_back(entry.path());
    }
    if (error) {
      throw ConfigError("cannot read the folder of CUDA libraries '" + folder +
                        "': " + error.message());
    }
  }
  std::sort(files.begin(), files.end());
  bool found = false;
  for (const char* library : kLibraries) {
    for (const auto& file : files) {
      if (!is_version_of(file.filename().string(), library)) continue;
      found = true;
      if (dlopen(file.c_str(), RTLD_LAZY | RTLD_GLOBAL) == nullptr) {
        throw DeviceError("cannot load '" + file.string() + "': " + dlerror());
      }
    }
  }
  if (!found) {
    throw ConfigError(std::string("there is no library of cuDNN or cuBLAS (libcudnn.so.9) in '") +
                      value + "'");
  }
}

std::unique_ptr<Backend> load_cuda(int device) {
  if (const std::string reason = cuda_obstacle(); !reason.empty()) throw DeviceError(reason);
  preload_cuda_libraries();
  return load((module_folder() / "cuda.so").string(), device);
}

// The number behind "cuda:"; throws ConfigError.
int device_number(const std::string& name) {
  const std::string text = name.substr(std::string(kCuda).size());
  if (text.empty()) return 0;
  int number = -1;
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
  if (text.size() < 2 || error != std::errc() || end != text.data() + text.size() || number < 0) {
    throw ConfigError("'" + name + "' names no GPU; use cuda or cuda:N with a number N from 0");
  }
  return number;
}

}  // namespace

std::string cuda_obstacle() {
  const auto file = module_folder() / "cuda.so";
  if (!std::filesystem::exists(file)) {
    return "cuda: this build has no CUDA backend (" + file.string() +
           " does not exist); use --device=cpu, or build where the CUDA toolkit is installed";
  }
  if (!has_driver()) {
    return "cuda: this machine has no NVIDIA driver (libcuda.so.1 is not found); install it or use "
           "--device=cpu";
  }
  return "";
}

std::vector<std::string> backend_names() {
  std::vector<std::string> names;
  for (const Entry& e : kBackends) names.emplace_back(e.name);
  return names;
}

std::unique_ptr<Backend> make_backend(const std::string& name) {
  for (const Entry& e : kBackends) {
    if (name == e.name) return e.make();
  }
  for (const Entry& e : kAliases) {
    if (name == e.name) return e.make();
  }
  if (name == kCuda || name.starts_with(std::string(kCuda) + ":")) {
    return load_cuda(device_number(name));
  }
  if (name.ends_with(".so")) return load(name, 0);
  std::string known;
  for (const std::string& n : backend_names()) known += n + ", ";
  throw ConfigError("unknown backend '" + name + "'; use " + known +
                    "cpu, cuda[:N] or the path of a loadable backend (*.so)");
}

}  // namespace resnet
