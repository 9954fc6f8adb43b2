// The one list of backends. A further one is a folder beside this file and a line below.
#include <dlfcn.h>

#include <filesystem>

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

// The module stays loaded until the process ends: kernels that outlive the backend point into it.
std::unique_ptr<Backend> load(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw DeviceError("backend '" + path + "' does not exist");
  }
  // Absolute, because dlopen() would look for a bare name in the system's folders.
  void* module = dlopen(std::filesystem::absolute(path).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) {
    throw DeviceError("cannot load backend '" + path + "': " + dlerror());
  }
  const std::string id = entry<const char* (*)()>(module, path, "resnet_build_id")();
  if (id != build_id()) {
    throw DeviceError("backend '" + path + "' was built for interface " + id +
                      ", this program has " + build_id() + "; rebuild the backend");
  }
  return std::unique_ptr<Backend>(entry<Backend* (*)()>(module, path, "resnet_backend_v1")());
}

}  // namespace

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
  if (name.ends_with(".so")) return load(name);
  std::string known;
  for (const std::string& n : backend_names()) known += n + ", ";
  throw ConfigError("unknown backend '" + name + "'; use " + known +
                    "cpu or the path of a loadable backend (*.so)");
}

}  // namespace resnet
