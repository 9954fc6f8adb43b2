// `resnet info`: what this build consists of and what it runs on.
#include <google/protobuf/stubs/common.h>
#include <jpeglib.h>
#include <lmdb.h>

#include <iostream>
#include <opencv2/core/version.hpp>
#include <utility>

#include "cli.h"
#include "flags.h"
#include "resnet/backend/backend.h"
#include "resnet/base/error.h"
#include "resnet/base/json.h"
#include "setup.h"

namespace resnet::cli {
namespace {

#define RESNET_TEXT_OF(x) #x
#define RESNET_TEXT(x) RESNET_TEXT_OF(x)

using Facts = std::vector<std::pair<std::string, std::string>>;

// What --device=cuda would give.
std::string cuda_facts() {
  if (const std::string obstacle = cuda_obstacle(); !obstacle.empty()) return obstacle;
  std::string devices;
  for (int device = 0;; ++device) {
    try {
      devices +=
          (device == 0 ? "" : "; ") + make_backend("cuda:" + std::to_string(device))->description();
    } catch (const DeviceError& e) {
      return device == 0 ? e.what() : devices;
    }
  }
}

Facts build_facts() {
  return {
      {"version", RESNET_VERSION},
      {"build", build_id()},
      {"compiler", "gcc-compatible " __VERSION__},
      {"protobuf", google::protobuf::internal::VersionString(GOOGLE_PROTOBUF_VERSION)},
      {"lmdb", mdb_version(nullptr, nullptr, nullptr)},
      {"opencv", CV_VERSION},
      {"libjpeg-turbo", RESNET_TEXT(LIBJPEG_TURBO_VERSION)},
      {"openmp", RESNET_TEXT(_OPENMP)},
      {"cuda", cuda_facts()},
  };
}

ExitCode run(const Operands&) {
  const std::shared_ptr<Backend> backend = open_backend();
  Facts facts = build_facts();
  facts.emplace_back("device", backend->description());
  if (FLAGS_json) {
    Json json;
    for (const auto& [name, value] : facts) json.set(name, value);
    json.set("threads", num_threads());
    std::cout << json.str() << '\n';
    return ExitCode::ok;
  }
  facts.emplace_back("threads", std::to_string(num_threads()));
  for (const auto& [name, value] : facts) {
    std::cout << name << std::string(16 - name.size(), ' ') << value << '\n';
  }
  return ExitCode::ok;
}

}  // namespace

extern const Command kInfo = {
    .name = "info",
    .summary = "Print versions, libraries, devices and threads of this build",
    .operands = "",
    .computes = true,
    .flags = {{"json"}},
    .examples = "resnet info\nresnet info --json",
    .run = run,
};

}  // namespace resnet::cli
