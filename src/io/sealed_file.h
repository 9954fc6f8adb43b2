// The frame of our binary files: field 10000 (header) first, field 10001 (checksum) last. Internal.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace resnet {

constexpr uint32_t kFormatVersion = 1;

// Parses bytes as `message` and, if the file is ours, checks its frame. Returns true for our files
// and false for files without a header (Caffe's). Throws DataError naming path and place of the
// damage; `kind` says what was expected ("weight file").
bool parse_sealed(const std::string& path, std::string_view bytes, const std::string& kind,
                  google::protobuf::Message* message);

// Writes header, message and checksum as one durable file (see write_file_atomic) and returns the
// checksum. The message must not have the two fields of the frame. Throws DataError when it would
// be larger than protobuf can read (2 GiB).
uint64_t write_sealed(const std::string& path, const google::protobuf::Message& message,
                      uint64_t run_id, const std::string& label);

// What our header says, from the first bytes of a file; present is false for other files.
struct SealedHeader {
  bool present = false;
  uint32_t format_version = 0;
  uint64_t run_id = 0;
  uint64_t length = 0;  // bytes
};
SealedHeader read_sealed_header(std::string_view bytes);

// The checksum that our file ends with; 0 for other files.
uint64_t stored_checksum(std::string_view bytes);

// Checks length and checksum of one of our files without parsing it; returns what is wrong, or "".
std::string frame_problem(std::string_view bytes);

// No damage is visible: a foreign file, or one of ours without a frame problem.
bool intact(std::string_view bytes);

}  // namespace resnet
