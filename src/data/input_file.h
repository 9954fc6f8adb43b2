// A file of which any part can be read, from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace resnet {

class InputFile {
 public:
  explicit InputFile(const std::string& path);  // throws DataError
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;
  ~InputFile();

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }       // bytes, when it was opened
  int64_t time_ns() const { return time_ns_; }  // of the last change, since 1970

  // Reads the bytes from `offset` on; returns how many there were, fewer than asked for only at
  // the end of the file. Throws DataError.
  size_t read(uint64_t offset, std::span<uint8_t> out) const;

 private:
  std::string path_;
  int descriptor_;
  uint64_t size_ = 0;
  int64_t time_ns_ = 0;
};

}  // namespace resnet
