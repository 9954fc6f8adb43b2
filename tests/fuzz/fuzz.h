// Fuzz targets: functions that give bytes of any kind to a parser. Each is a program of libFuzzer in the
// preset `fuzz` (tools/dev/fuzz.sh); in all others, fuzz_test gives them the files of tests/fuzz/corpus/NAME.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace resnet::fuzz {

using Target = void (*)(std::string_view input);

// Gives an input to a target and returns whether it was accepted. A resnet::Error with a text refuses it, as
// it should; anything else that is thrown, InternalError too, comes through.
bool accepts(Target target, std::string_view input);

// Ends the process like a failed assertion, unless `holds`.
void require(bool holds, const char* what);

struct NamedTarget {
  std::string name;
  Target run;
};
// Those of this program, by name.
std::vector<NamedTarget>& targets();

// Bytes under the path of a file, for parsers that read files. One at a time.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes);
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace resnet::fuzz

#ifdef RESNET_FUZZ
#define RESNET_FUZZ_ENTRY(name)                                                      \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {          \
    resnet::fuzz::accepts(fuzz_##name, {reinterpret_cast<const char*>(data), size}); \
    return 0;                                                                        \
  }
#else
#define RESNET_FUZZ_ENTRY(name)                     \
  [[maybe_unused]] static const bool known_##name = \
      (resnet::fuzz::targets().push_back({#name, fuzz_##name}), true);
#endif

// RESNET_FUZZ_TARGET(name) { parse(input); }
#define RESNET_FUZZ_TARGET(name)                   \
  static void fuzz_##name(std::string_view input); \
  RESNET_FUZZ_ENTRY(name)                          \
  static void fuzz_##name(std::string_view input)
