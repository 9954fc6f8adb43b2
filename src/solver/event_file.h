// Event files of TensorBoard: records of `Event` messages in TensorFlow's framing.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <string_view>

#include "resnet/proto/event.pb.h"

namespace resnet {

// CRC-32C (Castagnoli) of the bytes, turned and shifted as the framing wants it.
uint32_t masked_crc32c(std::string_view bytes);

// A record: length (uint64), its checksum (uint32), the bytes, their checksum; little-endian.
std::string framed(std::string_view bytes);

// A file `events.out.tfevents.<seconds>.<host>.<pid>.<number>` whose name sorts behind those of all event
// files in its folder: readers take files in that order.
class EventFile {
 public:
  // Creates the folder where needed, and the file with its first record. Throws DataError.
  explicit EventFile(const std::string& directory);

  // Sets the event's time and appends it; it is with the system on return. A file that cannot be written is
  // reported once in the log.
  void write(tensorboard::Event event);

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::ofstream out_;
  bool failed_ = false;
};

}  // namespace resnet
