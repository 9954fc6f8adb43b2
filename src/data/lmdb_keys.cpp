#include "data/lmdb_keys.h"

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "data/kept_file.h"
#include "data/lmdb_format.h"

namespace resnet {
namespace {

constexpr uint64_t kFormat = 0x31737965'6b62646d;  // "mdbkeys1" as it lies in the file

struct Header {
  uint64_t format = kFormat;
  LmdbVersion version;
};
static_assert(sizeof(Header) == 40 && sizeof(LmdbPlace) == 24);

bool operator==(const LmdbVersion& a, const LmdbVersion& b) {
  return a.file_bytes == b.file_bytes && a.file_time_ns == b.file_time_ns &&
         a.transaction == b.transaction && a.records == b.records;
}

std::string path_in(const std::string& folder) {
  return (std::filesystem::path(folder) / kLmdbKeys).string();
}

}  // namespace

bool is_inside(const LmdbPlace& place, uint64_t file_bytes) {
  return place.key <= file_bytes && place.key_bytes <= file_bytes - place.key &&
         place.value <= file_bytes && place.value_bytes <= file_bytes - place.value;
}

std::optional<std::vector<LmdbPlace>> read_key_list(const std::string& folder,
                                                    const LmdbVersion& version) {
  const auto content = read_kept_file(path_in(folder));
  Header header;
  if (!content || content->size() < sizeof header) return std::nullopt;
  std::memcpy(&header, content->data(), sizeof header);
  const size_t bytes = content->size() - sizeof header;
  if (header.format != kFormat || !(header.version == version) || bytes % sizeof(LmdbPlace) != 0 ||
      bytes / sizeof(LmdbPlace) != version.records) {
    return std::nullopt;
  }
  std::vector<LmdbPlace> places(version.records);
  std::memcpy(places.data(), content->data() + sizeof header, bytes);
  const bool all_inside = std::all_of(places.begin(), places.end(), [&](const LmdbPlace& place) {
    return is_inside(place, version.file_bytes);
  });
  if (!all_inside) return std::nullopt;
  return places;
}

void write_key_list(const std::string& folder, const LmdbVersion& version,
                    const std::vector<LmdbPlace>& places) {
  const Header header{.version = version};
  std::string content(sizeof header + places.size() * sizeof(LmdbPlace), '\0');
  std::memcpy(content.data(), &header, sizeof header);
  std::memcpy(content.data() + sizeof header, places.data(), places.size() * sizeof(LmdbPlace));
  write_kept_file(path_in(folder), content);
}

}  // namespace resnet
