// Where the records of an LMDB lie in its file data.mdb, kept so that they need not be searched for
// each time that it is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace resnet {

struct LmdbPlace {
  uint64_t key, value;              // offsets in data.mdb
  uint32_t key_bytes, value_bytes;  // sizes
};

// What must be the same for a list to be of this file.
struct LmdbVersion {
  uint64_t file_bytes = 0;
  int64_t file_time_ns = 0;
  uint64_t transaction = 0;  // the last one
  uint64_t records = 0;
};

// Whether a record lies inside the file: reading it cannot leave the memory map.
bool is_inside(const LmdbPlace& place, uint64_t file_bytes);

// The list beside data.mdb. Nothing when there is none, or when it is damaged, of another version,
// or points outside of the file.
std::optional<std::vector<LmdbPlace>> read_key_list(const std::string& folder,
                                                    const LmdbVersion& version);

// Keeps a list where the folder can be written.
void write_key_list(const std::string& folder, const LmdbVersion& version,
                    const std::vector<LmdbPlace>& places);

}  // namespace resnet
